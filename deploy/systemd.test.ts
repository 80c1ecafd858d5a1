import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

test.each(['membridge-agent.service.in', 'membridge.service.in'])(
  'lets systemd restart %s without a limit, however long its dependencies are away',
  (name) => {
    const unit = readFileSync(new URL(`./systemd/${name}`, import.meta.url), 'utf8');
    expect(unit).toMatch(/^StartLimitIntervalSec=0$/m);
    expect(unit).not.toMatch(/^StartLimitBurst=/m);
    expect(unit).toMatch(/^Restart=on-failure$/m);
    expect(unit).toMatch(/^RestartSec=\d+$/m);
  },
);

/** `npm run soak`: five agents on a real MinIO, killed with SIGKILL repeatedly. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startMinio } from '../../../stack/minio.ts';
import { ensureBucket } from '../../../storage/object-store.ts';
import { soak } from './soak.ts';

const USAGE = `npm run soak [-- OPTIONS]
  --kills N   how many (1000)
  --seed S    of the moments (1); what an agent is doing then is up to the machine
  --json      one JSON object on stdout
  Exit code 0 when nothing was lost, duplicated, invented or diverged.`;

const log = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    log(USAGE);
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), 'membridge-soak-'));
  const keys = { accessKey: 'membridge-soak', secretKey: 'membridge-soak-secret' };
  const minio = await startMinio({ dataDir: folder, port: 0, ...keys, log });
  try {
    const access = {
      endpoint: minio.endpoint,
      region: 'us-east-1',
      bucket: 'soak',
      access_key: keys.accessKey,
      secret_key: keys.secretKey,
    };
    await ensureBucket(access);
    const report = await soak({
      access,
      folder,
      kills: Number(values.kills),
      seed: Number(values.seed),
      log,
    });
    process.stdout.write(`${JSON.stringify(report, null, values.json ? undefined : 2)}\n`);
    const { lost, duplicated, invented, diverged, unsound, rounds } = report;
    return lost + duplicated + invented + diverged + unsound === 0 && rounds <= 12 ? 0 : 1;
  } finally {
    await minio.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();

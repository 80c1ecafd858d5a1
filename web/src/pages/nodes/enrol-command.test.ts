import { expect, it } from 'vitest';
import { enrolCommand } from './enrol-command.ts';

it.each([
  [{ node_id: null }, 'MEMBRIDGE_SERVER_URL=https://a MEMBRIDGE_ENROL_TOKEN=t ./install.sh agent'],
  [
    { node_id: 'ada', server_pin: 'sha256//x=' },
    'MEMBRIDGE_SERVER_URL=https://a MEMBRIDGE_SERVER_PIN=sha256//x= MEMBRIDGE_ENROL_TOKEN=t MEMBRIDGE_NODE_ID=ada ./install.sh agent',
  ],
])('makes a command that names the server, its pin and the node: %j', (token, command) => {
  expect(enrolCommand('https://a', { token: 't', ...token })).toBe(command);
});

import { expect, it } from 'vitest';
import { ENGINE_TUNNEL_PATH } from '../../contract/nodes/engine-tunnel.ts';
import { socketUrl } from './socket-url.ts';

it.each([
  ['http://127.0.0.1:8000', 'ws://127.0.0.1:8000/api/agent/engine'],
  ['https://host.example', 'wss://host.example/api/agent/engine'],
  ['https://host.example/membridge', 'wss://host.example/membridge/api/agent/engine'],
  ['https://host.example/membridge/', 'wss://host.example/membridge/api/agent/engine'],
])('opens the tunnel to %s at %s', (serverUrl, url) => {
  expect(socketUrl(serverUrl, ENGINE_TUNNEL_PATH)).toBe(url);
});

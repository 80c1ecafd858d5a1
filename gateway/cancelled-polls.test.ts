import { constants, type ClientHttp2Stream } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { nodeQueue } from '../contract/names.ts';
import { startActivityRunner, type ActivityRunner } from '../test/support/activity-runner.ts';
import { enrolNode, startTestPlane, type TestPlane } from '../test/support/control-plane.ts';
import { frame, openTunnelClient, pollRequest, type TunnelClient } from '../test/gateway/tunnel-client.ts';

let test: TestPlane;
let runner: ActivityRunner;
let key: string;
let request: Uint8Array;

beforeAll(async () => {
  test = await startTestPlane();
  key = (await enrolNode(test, 'ada')).agent_key;
  runner = await startActivityRunner(test.plane.deps.engine, nodeQueue('ada'));
  request = pollRequest(test.plane.deps.engine.address.namespace, 'ada', nodeQueue('ada'));
});
afterAll(async () => {
  await runner.stop();
  await test.stop();
});

/** How a poll is abandoned: its call alone, or the whole tunnel. */
const WAYS: [string, (client: TunnelClient, poll: ClientHttp2Stream) => void][] = [
  ['call is cancelled', (_client, poll) => poll.close(constants.NGHTTP2_CANCEL)],
  ['session is closed', ({ session }) => session.destroy()],
  ['connection breaks', ({ socket }) => socket.terminate()],
];

it.each(WAYS)(
  'ends a poll at Temporal, too, when its %s: the next poll gets the task',
  async (_how, giveUp) => {
    const second = await openTunnelClient(test.plane.url, key);
    for (let times = 0; times < 4; times += 1) {
      const client = await openTunnelClient(test.plane.url, key);
      const poll = client.begin('PollActivityTaskQueue');
      poll.end(frame(request));
      await sleep(100);
      giveUp(client, poll);
      await sleep(100);
      await runner.start('anything');
      const end = await second.call('PollActivityTaskQueue', request, { 'grpc-timeout': '10S' });
      // A poll without a task ends with a short answer, or with the deadline.
      expect([times, end.status]).toEqual([times, 0]);
      expect(end.body.length).toBeGreaterThan(100);
      client.close();
    }
    second.close();
  },
);

it('serves the next call after hundreds of calls that were abandoned at any moment', async () => {
  const client = await openTunnelClient(test.plane.url, key);
  for (let n = 0; n < 400; n += 1) {
    const call = client.begin(n % 3 === 0 ? 'ListNamespaces' : 'GetSystemInfo');
    call.end(frame(new Uint8Array()));
    setTimeout(() => call.close(constants.NGHTTP2_CANCEL), n % 12);
    if (n % 10 === 0) await sleep(5);
  }
  await sleep(200);
  expect(await client.call('GetSystemInfo', new Uint8Array())).toMatchObject({ status: 0 });
  client.close();
});

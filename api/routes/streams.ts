import { z } from 'zod';
import { makeSessionCheck } from '../auth/auth.ts';
import { defineRoute } from '../http/route.ts';
import { streamEvents } from '../http/sse.ts';

export const streamRoutes = [
  defineRoute({
    method: 'get',
    path: '/api/events',
    auth: 'people',
    tag: 'Events',
    summary: 'Stream changes as server-sent events',
    description:
      'Each data line is one ServerEvent. After a break, the header Last-Event-ID (or last_event_id) resumes; a reset event says that events were lost, and the client must load its lists again.',
    query: z.strictObject({ last_event_id: z.string().optional() }),
    status: 200,
    content: 'text/event-stream',
    unlimited: true,
    handle: async ({ req, res, caller }, deps) =>
      await streamEvents(req, res, deps, makeSessionCheck(caller, deps)),
  }),
  defineRoute({
    method: 'get',
    path: '/metrics',
    auth: 'people',
    tag: 'Health',
    summary: 'Prometheus metrics of the control plane and its Temporal worker',
    status: 200,
    content: 'text/plain',
    unlimited: true,
    handle: async ({ res }, { metrics }) => {
      const text = await metrics.render();
      res.type('text/plain; version=0.0.4').send(text);
    },
  }),
];

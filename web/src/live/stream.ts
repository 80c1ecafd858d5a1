import type { QueryClient, QueryKey } from '@tanstack/react-query';
import { ServerEvent } from '../../../contract/events.ts';
import type { Leadership } from '../../../contract/memory/leadership.ts';
import type { Job, SpaceSummary } from '../../../contract/memory/memory.ts';
import type { Node } from '../../../contract/nodes/nodes.ts';
import type { ProjectNodeStatus, ProjectSummary } from '../../../contract/projects/projects.ts';
import { withBasePath } from '../api/base-path.ts';
import { api } from '../api/calls.ts';
import { parseTolerantly } from '../api/parse.ts';
import { keys } from '../api/keys.ts';
import { applyToJobs, applyToLeadership, applyToNodes, applyToSpaces } from './apply-events.ts';
import { applyToClones, applyToProjects } from './apply-project-events.ts';
import { listTaskIds } from './apply-task-events.ts';
import { journal } from './journal.ts';
import { setLiveState } from './live-state.ts';
import { applyTaskEvents, TASK_LISTS } from './task-cache.ts';

/** How often events are applied together: a thousand heartbeats then redraw the page only a few times a second. */
const BATCH_MS = 200;
/** The shortest time between two requests for figures that tasks change. */
const ACTIVITY_MS = 2_000;
/** The shortest time between two requests for the nodes of spaces, and their counts. */
const MEMBERS_MS = 1_000;
/** Pause before a refused stream is opened again. The browser paces lost connections itself. */
const RETRY_MS = 3_000;

const EVENT_NAMES = [
  'message',
  'node',
  'node-removed',
  'space',
  'space-node',
  'space-removed',
  'job',
  'job-removed',
  'project',
  'project-node',
  'project-removed',
  'leadership',
  'task',
  'proposal',
  'reset',
];

/** The page's only live connection: `/api/events` into the Query cache. */
export class LiveStream {
  readonly #cache: QueryClient;
  readonly #onSignedOut: () => void;
  #source: EventSource | null = null;
  #wanted = false;
  #lastId = '';
  #waiting: ServerEvent[] = [];
  #batch: ReturnType<typeof setTimeout> | null = null;
  #retry: ReturnType<typeof setTimeout> | null = null;
  readonly #asking = new Map<string, ReturnType<typeof setTimeout>>();

  /** @param onSignedOut called when the server refuses the stream because nobody is signed in */
  constructor(cache: QueryClient, onSignedOut: () => void) {
    this.#cache = cache;
    this.#onSignedOut = onSignedOut;
  }

  /** Opens the stream; does nothing when it is open. */
  start(): void {
    this.#wanted = true;
    if (this.#source !== null) return;
    const query = this.#lastId === '' ? '' : `?last_event_id=${encodeURIComponent(this.#lastId)}`;
    const source = new EventSource(withBasePath(`/api/events${query}`));
    this.#source = source;
    source.addEventListener('open', () => {
      setLiveState('live');
      // Without a position there is no replay: everything loaded before may be outdated.
      if (this.#lastId === '') void this.#reload();
    });
    source.addEventListener('error', () => {
      if (this.#source !== source) return;
      setLiveState('reconnecting');
      if (source.readyState === EventSource.CLOSED) void this.#handleRefusal();
    });
    for (const name of EVENT_NAMES) {
      source.addEventListener(name, (event: MessageEvent<string>) => this.#receive(event));
    }
  }

  /** Closes the stream and drops its position. */
  stop(): void {
    this.#wanted = false;
    this.#source?.close();
    this.#source = null;
    if (this.#batch !== null) clearTimeout(this.#batch);
    if (this.#retry !== null) clearTimeout(this.#retry);
    for (const timer of this.#asking.values()) clearTimeout(timer);
    this.#asking.clear();
    this.#batch = null;
    this.#retry = null;
    this.#waiting = [];
    this.#lastId = '';
  }

  /** Closes the stream and keeps its position: `start` continues from there. */
  pause(): void {
    const lastId = this.#lastId;
    this.#flush();
    this.stop();
    this.#lastId = lastId;
  }

  /** Reopens the stream at its position, for a connection that looks open but is dead. Does nothing while it is closed. */
  restart(): void {
    if (!this.#wanted) return;
    this.pause();
    setLiveState('reconnecting');
    this.start();
  }

  #receive(event: MessageEvent<string>): void {
    if (event.lastEventId !== '') this.#lastId = event.lastEventId;
    const { success, data, error } = parseTolerantly(ServerEvent, JSON.parse(event.data));
    if (!success) {
      // A newer server may send events that this page does not know; its lists are still right.
      console.warn('The page does not understand an event; it loads the lists again.', error);
      void this.#reload();
      return;
    }
    this.#waiting.push(data);
    this.#batch ??= setTimeout(() => this.#flush(), BATCH_MS);
  }

  #flush(): void {
    this.#batch = null;
    const events = this.#waiting;
    this.#waiting = [];
    if (events.length === 0) return;
    if (events.some(({ type }) => type === 'reset')) {
      void this.#cache.invalidateQueries();
      return;
    }
    journal.note(events);
    this.#cache.setQueryData<Node[]>(keys.nodes, (nodes) => nodes && applyToNodes(nodes, events));
    this.#cache.setQueryData<SpaceSummary[]>(
      keys.spaces,
      (spaces) => spaces && applyToSpaces(spaces, events),
    );
    for (const [key, jobs] of this.#cache.getQueriesData<Job[]>({ queryKey: keys.allJobs })) {
      const [, cid, node] = key as ReturnType<typeof keys.jobs>;
      if (jobs !== undefined) this.#cache.setQueryData(key, applyToJobs(jobs, events, { cid, node }));
    }
    this.#cache.setQueryData<ProjectSummary[]>(
      keys.projects,
      (projects) => projects && applyToProjects(projects, events),
    );
    for (const [key, clones] of this.#cache.getQueriesData<ProjectNodeStatus[]>({
      queryKey: keys.allClones,
    })) {
      const [, id] = key as ReturnType<typeof keys.clones>;
      if (clones !== undefined) this.#cache.setQueryData(key, applyToClones(clones, events, id));
    }
    for (const [key, leadership] of this.#cache.getQueriesData<Leadership>({
      queryKey: keys.allLeadership,
    })) {
      if (leadership !== undefined) this.#cache.setQueryData(key, applyToLeadership(leadership, events));
    }
    applyTaskEvents(this.#cache, events);
    // Figures and active tasks of a busy fleet change all the time, so they are not requested with every batch.
    if (listTaskIds(events).length > 0) this.#askLater(ACTIVITY_MS, [keys.stats, keys.activity]);
    // The server decides the status of a space's nodes, from more than the event carries.
    const isMember = ({ type }: ServerEvent) => /^space(-node)?$|^node-removed$/.test(type);
    if (events.some(isMember)) this.#askLater(MEMBERS_MS, [keys.spaces, keys.allMembers]);
  }

  /** Requests lists again after a pause; further lists in the pause join the request. */
  #askLater(ms: number, lists: readonly QueryKey[]): void {
    const name = JSON.stringify(lists);
    if (this.#asking.has(name)) return;
    const timer = setTimeout(() => {
      this.#asking.delete(name);
      for (const queryKey of lists) void this.#cache.invalidateQueries({ queryKey });
    }, ms);
    this.#asking.set(name, timer);
  }

  async #reload(): Promise<void> {
    const { nodes, spaces, allMembers, allJobs, projects, allClones, allLeadership } = keys;
    const lists = [nodes, spaces, allMembers, allJobs, projects, allClones, allLeadership, ...TASK_LISTS];
    await Promise.all(lists.map((queryKey) => this.#cache.invalidateQueries({ queryKey })));
  }

  /** Handles an error answer to the stream: signed out, or not ready. The browser does not retry automatically. */
  async #handleRefusal(): Promise<void> {
    this.#source = null;
    const session = await api.session().catch(() => null);
    if (!this.#wanted) return;
    if (session?.signed_in === false) {
      this.#onSignedOut();
      return;
    }
    this.#retry = setTimeout(() => this.start(), RETRY_MS);
  }
}

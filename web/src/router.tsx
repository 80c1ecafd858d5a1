import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router';
import { z } from 'zod';
import { ProposalStatus } from '../../contract/projects/proposals.ts';
import { basePath } from './api/base-path.ts';
import { sessionQuery } from './api/queries.ts';
import { cache } from './cache.ts';
import { Loading } from './components/Notice.tsx';
import { AuditSearch } from './pages/audit/audit-filter.ts';
import { TaskSearch } from './pages/tasks/task-filter.ts';
import { lazyPage } from './shell/lazy-page.tsx';
import { NotFound } from './shell/NotFound.tsx';
import { PageFailure } from './shell/PageFailure.tsx';
import { Shell } from './shell/Shell.tsx';

const text = z.string().optional().catch(undefined);

const root = createRootRoute({ notFoundComponent: NotFound, errorComponent: PageFailure });

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/signin',
  validateSearch: z.object({ from: text }),
  component: lazyRouteComponent(() => import('./pages/signin/SignInPage.tsx'), 'SignInPage'),
});

const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  component: Shell,
  // The first answer may take long; until then the window would be blank.
  pendingComponent: () => <Loading what="Membridge" />,
  pendingMs: 200,
  beforeLoad: async ({ location }) => {
    const session = await cache.ensureQueryData(sessionQuery);
    // oxlint-disable-next-line typescript/only-throw-error -- how TanStack Router redirects
    if (!session.signed_in) throw redirect({ to: '/signin', search: { from: location.href } });
  },
});

const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: () => {
    // oxlint-disable-next-line typescript/only-throw-error -- how TanStack Router redirects
    throw redirect({ to: '/membridge', replace: true });
  },
});

/** The tab's own address opens its first page. */
const runtime = createRoute({
  getParentRoute: () => shell,
  path: '/runtime',
  beforeLoad: () => {
    // oxlint-disable-next-line typescript/only-throw-error -- how TanStack Router redirects
    throw redirect({ to: '/runtime/tasks', replace: true });
  },
});

const tasks = createRoute({
  getParentRoute: () => shell,
  path: '/runtime/tasks',
  validateSearch: TaskSearch,
  component: lazyPage(() => import('./pages/tasks/TasksPage.tsx'), 'TasksPage'),
});

const task = createRoute({
  getParentRoute: () => shell,
  path: '/runtime/tasks/$taskId',
  component: lazyPage(() => import('./pages/tasks/TaskPage.tsx'), 'TaskPage'),
});

const overview = createRoute({
  getParentRoute: () => shell,
  path: '/runtime/overview',
  component: lazyPage(() => import('./pages/overview/OverviewPage.tsx'), 'OverviewPage'),
});

const proposals = createRoute({
  getParentRoute: () => shell,
  path: '/runtime/proposals',
  validateSearch: z.object({ status: ProposalStatus.optional().catch(undefined) }),
  component: lazyPage(() => import('./pages/proposals/ProposalsPage.tsx'), 'ProposalsPage'),
});

const proposal = createRoute({
  getParentRoute: () => shell,
  path: '/runtime/proposals/$proposalId',
  component: lazyPage(() => import('./pages/proposals/ProposalPage.tsx'), 'ProposalPage'),
});

const audit = createRoute({
  getParentRoute: () => shell,
  path: '/runtime/audit',
  validateSearch: AuditSearch,
  component: lazyPage(() => import('./pages/audit/AuditPage.tsx'), 'AuditPage'),
});

const runtimeSettings = createRoute({
  getParentRoute: () => shell,
  path: '/runtime/settings',
  component: lazyPage(() => import('./pages/runtime/SettingsPage.tsx'), 'SettingsPage'),
});

const membridge = createRoute({
  getParentRoute: () => shell,
  path: '/membridge',
  validateSearch: z.object({ space: text, node: text }),
  component: lazyPage(() => import('./pages/membridge/MembridgePage.tsx'), 'MembridgePage'),
});

const projects = createRoute({
  getParentRoute: () => shell,
  path: '/membridge/projects',
  validateSearch: z.object({ tag: text }),
  component: lazyPage(() => import('./pages/projects/ProjectsPage.tsx'), 'ProjectsPage'),
});

const project = createRoute({
  getParentRoute: () => shell,
  path: '/membridge/projects/$project',
  component: lazyPage(() => import('./pages/projects/ProjectPage.tsx'), 'ProjectPage'),
});

const nodes = createRoute({
  getParentRoute: () => shell,
  path: '/nodes',
  validateSearch: z.object({ node: text }),
  component: lazyPage(() => import('./pages/nodes/NodesPage.tsx'), 'NodesPage'),
});

/** The page's addresses. Search parameters stay plain text: a canonical id may look like a number. */
export const router = createRouter({
  basepath: basePath() || '/',
  routeTree: root.addChildren([
    home,
    signIn,
    shell.addChildren([
      runtime,
      tasks,
      task,
      overview,
      proposals,
      proposal,
      audit,
      runtimeSettings,
      membridge,
      projects,
      project,
      nodes,
    ]),
  ]),
  parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
  stringifySearch: (search) => {
    const given = Object.entries(search as Record<string, string | undefined>).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
  },
  defaultPreload: 'intent',
  defaultPendingMs: 400,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}

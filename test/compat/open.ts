/**
 * Requests that are not answered as they should be yet, as `<client> <does>`: their tests must fail, and a request that is mended
 * leaves this list in the same change.
 */
export const OPEN: ReadonlySet<string> = new Set([
  'agent script asks for the health of an agent without a key',
  'hook registers its project without a key',
  'hook lists projects without a key',
  'hook registers a project without a name',
  'admin script sees the project that a hook registered',
  'admin script sees the node of that project',
  'agent script pulls with a field that nobody reads',
  'agent script pushes without a project',
  'agent script asks the doctor',
  'agent script asks the doctor with a body',
  'agent script asks the doctor in a dry run',
  'agent script clones a repository with a field that nobody reads',
  'agent script clones it again',
  'agent script finds the clone among its projects',
  'agent script asks for the system',
  'agent script executes a task while that is switched off',
  'agent script executes a task',
  'agent script executes a task that fails',
  'agent script lists sessions',
  'agent script reads a session',
  'agent script asks for self-update while process control is off',
  'agent script asks for restart while process control is off',
  'agent script asks for uninstall while process control is off',
  'agent script asks for self-update in a dry run',
  'agent script asks for restart in a dry run',
  'agent script asks for uninstall in a dry run',
]);

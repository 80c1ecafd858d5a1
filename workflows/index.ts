// Every workflow that the control worker runs.
export { memorySpace } from './memory-space.ts';
export { syncMemory } from './sync-memory.ts';

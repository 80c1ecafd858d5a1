/**
 * Temporal's extension for VS Code runs this file to step through a recorded history, such as one of
 * workflows/histories/.
 */
import { fileURLToPath } from 'node:url';
import { startDebugReplayer } from '@temporalio/worker';

startDebugReplayer({ workflowsPath: fileURLToPath(new URL('../../workflows/index.ts', import.meta.url)) });

import { ActivityCancellationType } from '@temporalio/workflow';

/** Options shared by all activities that run git on a node. */
export const GIT_ACTIVITY = {
  heartbeatTimeout: '10 seconds',
  // Wait until git is dead and its unfinished work is removed.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: {
    initialInterval: '2 seconds',
    backoffCoefficient: 3,
    maximumInterval: '1 minute',
    maximumAttempts: 5,
  },
} as const;

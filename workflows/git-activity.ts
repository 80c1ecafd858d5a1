import { ActivityCancellationType } from '@temporalio/workflow';

/** What every activity has in common in which git works on a node. */
export const GIT_ACTIVITY = {
  heartbeatTimeout: '10 seconds',
  // It is over when git is dead and what it had begun is gone, not before.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: {
    initialInterval: '2 seconds',
    backoffCoefficient: 3,
    maximumInterval: '1 minute',
    maximumAttempts: 5,
  },
} as const;

/**
 * What the simulation leaves out because the sync is known not to bear it yet. Each is a bug: when it is mended, the
 * line goes, and with it the place that reads it.
 */
export const LEFT_OUT = {
  /** Segments that the store loses: what a node deletes while it sends its memories again stays with its peers. */
  lostSegments: false,
  /** A session that is deleted and written again, or whose rows live on elsewhere, may differ between machines. */
  deletedSessions: false,
};

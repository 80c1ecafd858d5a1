/**
 * What the simulation leaves out because the sync is known not to bear it yet. Each is a bug: when it is mended, the
 * line goes, and with it the place that reads it.
 */
export const LEFT_OUT = {
  /**
   * Segments that the store loses: a node sends its memories again, but not what it has said since of memories that
   * peers sent too.
   */
  lostSegments: true,
  /** A session that is deleted while a peer's word of it is on its way stays behind as a bare stub on one machine. */
  deletedSessions: true,
};

/** One piece of context. */
export interface Piece {
  /** Where it is from, for the model: a path relative to the folder, or the hint. */
  readonly source: string;
  readonly text: string;
}

/** What a hint led to; the pieces are read one after the other, until nothing more fits. */
export interface Resolved {
  readonly pieces: AsyncIterable<Piece> | Iterable<Piece>;
  /** Things that people should know; complete when the pieces have been read. */
  readonly notes: readonly string[];
}

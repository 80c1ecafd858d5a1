/** One piece of context. */
export interface Piece {
  /** Its origin, for the model: a path relative to the folder, or the hint. */
  readonly source: string;
  readonly text: string;
}

/** The result of a hint; the pieces are read one after another until nothing more fits. */
export interface Resolved {
  readonly pieces: AsyncIterable<Piece> | Iterable<Piece>;
  /** Notes for people; complete when the pieces have been read. */
  readonly notes: readonly string[];
}

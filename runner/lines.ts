/** Takes text in whatever pieces it comes, and gives whole lines of bounded length. */
export class LineReader {
  readonly #longest: number;
  readonly #take: (line: string) => void;
  #pieces: string[] = [];
  #length = 0;
  #leftOut = 0;
  #tooLong = false;

  /**
   * @param longest characters of the longest line; longer ones are left out
   * @param take hears each line, without its end
   */
  constructor(longest: number, take: (line: string) => void) {
    this.#longest = longest;
    this.#take = take;
  }

  /** How many lines were too long. */
  get leftOut(): number {
    return this.#leftOut;
  }

  take(text: string): void {
    let from = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
      this.#add(text.slice(from, end));
      this.#finish();
      from = end + 1;
    }
    this.#add(text.slice(from));
  }

  /** What came last may have no end of line. */
  end(): void {
    if (this.#length > 0 || this.#tooLong) this.#finish();
  }

  #add(piece: string): void {
    if (this.#tooLong || piece === '') return;
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#length <= this.#longest) return;
    this.#tooLong = true;
    this.#pieces = [];
  }

  #finish(): void {
    const line = this.#pieces.join('').replace(/\r$/, '');
    const tooLong = this.#tooLong;
    this.#pieces = [];
    this.#length = 0;
    this.#tooLong = false;
    if (tooLong) this.#leftOut += 1;
    else this.#take(line);
  }
}

/** Cuts a text to a length, with a mark where something is missing; never through the middle of a character. */
export function shorten(text: string, length: number, mark = '…'): string {
  if (text.length <= length) return text;
  if (length <= mark.length) return '';
  return beginning(text, length - mark.length) + mark;
}

/** The first so many UTF-16 units, or one less where that would cut a character in two. */
function beginning(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}

/** A text in pieces of at most so many UTF-16 units, at least two, of whole characters. */
export function* pieces(text: string, length: number): Generator<string> {
  for (let rest = text; rest !== '';) {
    const piece = rest.length <= length ? rest : beginning(rest, length);
    yield piece;
    rest = rest.slice(piece.length);
  }
}

/** Splits text that arrives in chunks into lines of bounded length. */
export class LineReader {
  readonly #longest: number;
  readonly #take: (line: string) => void;
  #pieces: string[] = [];
  #length = 0;
  #leftOut = 0;
  #isTooLong = false;

  /**
   * @param longest maximum number of characters per line; longer lines are left out
   * @param take receives each line, without its end
   */
  constructor(longest: number, take: (line: string) => void) {
    this.#longest = longest;
    this.#take = take;
  }

  /** Number of lines that were too long. */
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

  /** Ends the text; the last line may have no line end. */
  end(): void {
    if (this.#length > 0 || this.#isTooLong) this.#finish();
  }

  #add(piece: string): void {
    if (this.#isTooLong || piece === '') return;
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#length <= this.#longest) return;
    this.#isTooLong = true;
    this.#pieces = [];
  }

  #finish(): void {
    const line = this.#pieces.join('').replace(/\r$/, '');
    const tooLong = this.#isTooLong;
    this.#pieces = [];
    this.#length = 0;
    this.#isTooLong = false;
    if (tooLong) this.#leftOut += 1;
    else this.#take(line);
  }
}

/** Shortens a text to a length, with a mark for missing text; never splits a character. */
export function shorten(text: string, length: number, mark = '…'): string {
  if (text.length <= length) return text;
  if (length <= mark.length) return '';
  return beginning(text, length - mark.length) + mark;
}

/** Returns the first `length` UTF-16 units, or one less where that would split a character. */
function beginning(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}

/** Splits a text into pieces of at most `length` (two or more) UTF-16 units, without splitting characters. */
export function* splitPieces(text: string, length: number): Generator<string> {
  for (let rest = text; rest !== '';) {
    const piece = rest.length <= length ? rest : beginning(rest, length);
    yield piece;
    rest = rest.slice(piece.length);
  }
}

/**
 * Spreadsheets run a cell as a formula that begins with one of these (OWASP, "CSV Injection"): also in full width, and also behind white
 * space, line ends or invisible characters, which some of them drop.
 */
const FORMULA = /^[\s\p{Cc}\p{Cf}]*[=+\-@＝＋－＠]|^[\t\r]/u;

/** One cell by RFC 4180. One that a spreadsheet would run gets an apostrophe in front, which it does not show. */
function cell(value: string | number): string {
  const text = String(value);
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** One line of CSV with its end. */
export const csvLine = (cells: readonly (string | number)[]): string => `${cells.map(cell).join(',')}\r\n`;

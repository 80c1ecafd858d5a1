/**
 * The start of a cell that spreadsheets run as a formula (OWASP, "CSV Injection"). It includes full-width forms, and
 * leading white space, line ends or invisible characters, which some spreadsheets drop.
 */
const FORMULA_START = /^[\s\p{Cc}\p{Cf}]*[=+\-@＝＋－＠]|^[\t\r]/u;

/**
 * Formats one cell by RFC 4180. A cell that a spreadsheet would run gets a leading apostrophe, which the spreadsheet
 * hides.
 */
function formatCell(value: string | number): string {
  const text = String(value);
  const safe = FORMULA_START.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Formats one line of CSV with its line end. */
export const csvLine = (cells: readonly (string | number)[]): string =>
  `${cells.map(formatCell).join(',')}\r\n`;

/**
 * Adds what a Mantine dialog or drawer lacks: its header must not be a banner landmark, and its box carries the test
 * id.
 * @param testId the `data-testid` of the visible box
 */
export function dialogAttributes(testId: string) {
  return { header: { role: 'presentation' }, content: { 'data-testid': testId } };
}

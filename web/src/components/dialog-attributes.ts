/**
 * What a Mantine dialog or drawer lacks: its header is no banner of the page, and its box carries the test id.
 * @param testId the `data-testid` of the box that is seen
 */
export function dialogAttributes(testId: string) {
  return { header: { role: 'presentation' }, content: { 'data-testid': testId } };
}

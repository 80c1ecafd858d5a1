import { canonicalJson } from '../../memory/format/canonical-json.ts';
import { headKey, nameHash, segmentKey } from '../../memory/format/layout.ts';
import { FIRST_PREV_SHA, sealSegment } from '../../memory/format/segment.ts';
import type { TestNode } from '../memory/nodes.ts';

/** An incarnation that no node has by chance. */
const EPOCH = '0fffffffffff00000000';

/** Writes a segment with chosen lines, signed by a node, as a node in hostile hands could. */
export async function forgeSegment(node: TestNode, cid: string, lines: readonly object[]): Promise<void> {
  const { identity, store } = node.options;
  const sealed = sealSegment(
    { space: cid, node: node.name, epoch: EPOCH, seq: 1, prevSha: FIRST_PREV_SHA, schema: 'forged' },
    lines.map((line) => canonicalJson(line)),
    identity.key,
  );
  const name = { node: node.name, epoch: EPOCH, seq: 1, hash: nameHash(sealed.sha) };
  await store.put(segmentKey(cid, name), sealed.bytes);
  await store.put(headKey(cid, node.name), Buffer.from(`${EPOCH}\n`));
}

import { SearchAttributeType, TypedSearchAttributes, defineSearchAttributeKey } from '@temporalio/common';

/** The subject of a workflow: names and ids that people search by. */
interface AttributeValues {
  readonly project?: string | null;
  readonly node?: string;
  readonly task?: string;
  /**
   * The canonical id of a space. An agent of a version 0.4 control plane must not set it, because that
   * control plane has not registered it.
   */
  readonly space?: string;
  readonly pool?: string;
}

const ATTRIBUTE_NAMES: Readonly<Record<keyof AttributeValues, string>> = {
  project: 'MembridgeProject',
  node: 'MembridgeNode',
  task: 'MembridgeTask',
  space: 'MembridgeSpace',
  pool: 'MembridgePool',
};

/** Returns the search attributes of a workflow in Temporal. */
export function searchAttributes(about: AttributeValues): TypedSearchAttributes {
  const pairs = Object.entries(about) as [keyof AttributeValues, string | null | undefined][];
  return new TypedSearchAttributes(
    pairs.flatMap(([what, value]) =>
      value == null
        ? []
        : [{ key: defineSearchAttributeKey(ATTRIBUTE_NAMES[what], SearchAttributeType.KEYWORD), value }],
    ),
  );
}

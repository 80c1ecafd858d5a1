/** A place in the engine's source, and its replacement. */
interface Edit {
  /** Below memory/. */
  readonly file: string;
  /** Must occur exactly once: without its text, a mutation changes nothing. */
  readonly find: string;
  readonly replace: string;
}

/** One deliberate fault in the engine's source, and the promise that it breaks. */
export interface Mutation extends Edit {
  readonly breaks: string;
  /** Another place, where the promise is implemented twice. */
  readonly also?: Edit;
}

/** One fault for every invariant of docs/internals/simulation.md. The simulation must detect each. */
export const MUTATIONS: readonly Mutation[] = [
  {
    breaks: 'nothing is lost: what was struck off the outbox is in the store',
    file: 'push/push.ts',
    find: 'await store.put(segmentKey(space.cid, name), bytes);',
    replace: 'if (seq % 2 === 1) await store.put(segmentKey(space.cid, name), bytes);',
  },
  {
    breaks: 'nothing is lost: a row whose session never comes is shown under a stub session',
    file: 'pull/apply.ts',
    find: 'const stub = hasPassed(entry.since, session.orphanWaitMs, session.now());',
    replace: 'const stub = session.orphanWaitMs < 0;',
  },
  {
    breaks: 'nothing is lost: true twins stay two',
    file: 'detect/free-key.ts',
    find: 'if (known === null || known.row === null || known.row === row.id || !isThere(known.row)) {',
    replace: 'if (known !== undefined) {',
  },
  {
    breaks: 'nothing is lost: a lost certificate is published again',
    file: 'pull/fetch.ts',
    find: 'if (published.certificates.length === 0) forgetCertificate(ledger, cid);',
    replace: '',
  },
  {
    breaks: 'nothing is lost: what the store lost is sent again',
    file: 'pull/fetch.ts',
    find: 'some((name) => !held.has(segmentName(name)));',
    replace: 'some((name) => held.has(segmentName({ ...name, seq: -1 })));',
  },
  {
    breaks: 'nothing is duplicated: applying an operation again changes nothing',
    file: 'merge/merger.ts',
    find: '    const row = this.#rowOf(operation, entity);',
    replace: `    const row = operation.kind === 'session' ? this.#rowOf(operation, entity) : null;
    if (row === null) return this.#inserts.insert(incoming, entity);`,
  },
  {
    breaks:
      'nothing is duplicated: rows that a crash left unnamed are named before their operations come again',
    file: 'engine.ts',
    find: `      // A crash may have left rows unnamed. They need names before their operations arrive again.
      await this.#look(session);`,
    replace: '',
    also: { file: 'merge/batches.ts', find: 'this.#newcomers.nameRows();', replace: '' },
  },
  {
    breaks: 'another sync doubles nothing: what it puts beside a memory that is here is no twin',
    file: 'detect/scan.ts',
    find: 'if (row.isReplica && isEcho(reader, ledger, row)) return false;',
    replace: '',
  },
  {
    breaks:
      'another sync doubles nothing: a prompt that it brought first is the one that its writer tells of',
    file: 'merge/inserts.ts',
    find: 'if (replica !== null) return replica;',
    replace: 'if (replica === -1) return replica;',
  },
  {
    breaks: 'a damaged index keeps no memory from being sent',
    file: 'error-effects.ts',
    find: `  'memory_index_damaged',
  'memory_locked',`,
    replace: `  'memory_locked',`,
  },
  {
    breaks: 'a damaged index is not a damaged database',
    file: 'claude-mem/search-index.ts',
    find: 'if (!mayBeIndexDamage(error)) return null;',
    replace: 'return null;',
    also: {
      file: 'claude-mem/failures.ts',
      find: "if (code === 'SQLITE_CORRUPT_VTAB' && !isOurs)",
      replace: "if (code === 'SQLITE_CORRUPT_VTAB' && !own)",
    },
  },
  {
    breaks: 'in an encrypted space nothing is stored in plain text',
    file: 'push/publish.ts',
    find: 'if (config.encrypted !== true) return null;',
    replace: 'if (config.cid.length > 0) return null;',
    also: {
      file: 'push/push.ts',
      find: 'if (config.encrypted === true && !isSealed(entry.bytes)) {',
      replace: "if (config.cid === '' && !isSealed(entry.bytes)) {",
    },
  },
  {
    breaks: 'a machine that joins later gets what was encrypted before it came',
    file: 'pull/heal.ts',
    find: 'if (chooseHealer(name, acks, identity.node, session.now()) !== identity.node) continue;',
    replace: 'if (chooseHealer(name, acks, identity.node, session.now()) !== name.hash) continue;',
  },
  {
    breaks: 'nothing of a node that is not trusted is shown',
    file: 'space/trust.ts',
    find: "return config.trust?.[node] ?? 'accept';",
    replace: "return config.trust?.[node.toUpperCase()] ?? 'accept';",
    also: {
      file: 'space/trust.ts',
      find: ".filter(([, trust]) => trust !== 'accept')",
      replace: ".filter(([node, trust]) => trust !== 'accept' && node === '')",
    },
  },
  {
    breaks: 'what waits for trust is merged once its node is trusted',
    file: 'pull/apply.ts',
    find: 'ledger.inbox.holdFrom(space.id, distrusted);',
    replace: 'if (distrusted.length > 0) ledger.inbox.holdFrom(space.id, distrusted);',
  },
  {
    breaks: 'nothing is invented: what is excluded stays where it is',
    file: 'space/space-projects.ts',
    find: 'if (project !== null && isOfProject(project, EXCLUDED_PROJECT))',
    replace: 'if (project !== null && isOfProject(project, `${EXCLUDED_PROJECT}-of-nobody`))',
  },
  {
    breaks: 'a project that is excluded is nowhere else: neither its worktrees nor its look-alikes',
    file: 'space/space-projects.ts',
    find: 'isOfProject(foldName(each), excluded.folded)',
    replace: 'each === excluded.folded',
  },
  {
    breaks: 'a project that is excluded is nowhere else: nor sessions whose rows were adopted into it',
    file: 'push/outgoing.ts',
    find: "const bySession = row.kind === 'session' || row.kind === 'prompt';",
    replace: 'const bySession = row.id < 0;',
  },
  {
    breaks: 'a text that was taken out is nowhere: a changed row is not another database',
    file: 'ledger/matches-database.ts',
    find: "return isSameBirth || isSameText ? 'edited' : 'other';",
    replace: "return 'other';",
  },
  {
    breaks: 'a text that was taken out is nowhere: wherever its row lies',
    file: 'claude-mem/row-watch.ts',
    find: 'return KINDS.flatMap((kind) => this.#rangesIn(kind, rows));',
    replace: 'return KINDS.flatMap((kind) => this.#rangesIn(kind, rows.slice(rows.length)));',
  },
  {
    breaks: 'of what somebody deduplicated, one is left',
    file: 'merge/clean-up.ts',
    find: "return lowest?.equals(key) === true ? 'survives' : 'waits-for-survivor';",
    replace: "if (lowest !== undefined) return 'holds';",
  },
  {
    breaks: 'all machines converge: the later write of a register stands',
    file: 'format/registers.ts',
    find: 'const takes = compareRegisters(incoming, local, name) > 0;',
    replace: 'const takes = incoming.values[name] !== undefined;',
  },
  {
    breaks: 'all machines converge: a row belongs to the same session everywhere',
    file: 'merge/sessions.ts',
    find: 'if (direct !== null) return { session: direct, key };',
    replace: 'if (direct !== null) return { session: this.byId(1) ?? direct, key };',
  },
  {
    breaks: 'the exchange ends: a push that has nothing to say says nothing',
    file: 'push/publish.ts',
    find: "if (space.headEtag !== '' || space.incarnation === null) return false;",
    replace: 'if (space.epoch === null) return false;',
  },
  {
    breaks: 'local ids stay what they are',
    file: 'claude-mem/write.ts',
    find: '.table} SET ',
    replace: '.table} SET id = id + 1000, ',
  },
  {
    breaks: 'foreign keys hold, and full-text indexes agree with the rows',
    file: 'claude-mem/open.ts',
    find: "  db.pragma('foreign_keys = ON');",
    replace: "  db.exec('DROP TRIGGER IF EXISTS observations_ai');",
  },
  {
    breaks: 'places in the log are given once: cursors never go back',
    file: 'push/push.ts',
    find: '    ledger.spaces.advance(space.id, seq, sealed.sha);',
    replace: '',
  },
  {
    breaks: 'a segment never changes: the same bytes go to the same name after a crash',
    file: 'push/push.ts',
    find: 'await store.put(segmentKey(space.cid, name), bytes);',
    replace: "await store.put(segmentKey(space.cid, { ...name, hash: '0'.repeat(32) }), bytes);",
  },
  {
    breaks: 'a node writes below its own name only',
    file: 'push/push.ts',
    find: 'const name: SegmentName = { node: identity.node, epoch, seq, hash: nameHash(sha) };',
    replace: "const name: SegmentName = { node: 'zed', epoch, seq, hash: nameHash(sha) };",
  },
  {
    breaks: 'what a removed machine writes has no effect',
    file: 'space/membership.ts',
    find: 'if (retired !== undefined && at > retired.until + RETIRED_GRACE_MS) {',
    replace: 'if (retired !== undefined && at < 0) {',
  },
  {
    breaks: 'what was deleted is gone everywhere',
    file: 'push/emit.ts',
    find: "      this.#add({ type: 'delete', kind, key, ...deletion });",
    replace: '',
  },
  {
    breaks: 'what was changed is changed everywhere',
    file: 'push/emit.ts',
    find: 'for (const { version, up, link } of updates.values()) {',
    replace: 'for (const { version, up, link } of [...updates.values()].slice(1)) {',
  },
  {
    breaks: 'no mirror shrinks unasked',
    file: 'legacy/refuse-fewer.ts',
    find: 'if (fewer === 0 || fewer === confirmed) return fewer;',
    replace: 'if (fewer >= 0) return fewer;',
  },
  {
    breaks: 'no mirror shrinks by another number than a person agreed to',
    file: 'legacy/refuse-fewer.ts',
    find: 'if (fewer === 0 || fewer === confirmed) return fewer;',
    replace: 'if (fewer === 0 || confirmed !== undefined) return fewer;',
  },
  {
    breaks: 'what is excluded is in no mirror',
    file: 'legacy/copy.ts',
    find: 'if (!this.#coverage.has(row) || this.#isEmptyStub(row)) {',
    replace: 'if (this.#isEmptyStub(row)) {',
  },
  {
    breaks: 'what was deleted is in no mirror that a machine publishes which knows',
    file: 'legacy/merge-snapshot.ts',
    find: 'if (known.some((entity) => entity?.dead === true)) {',
    replace: `for (const each of known) if (each?.dead === true) entities.forget(each.key);
    if (known.length === 0) {`,
  },
  {
    breaks: 'what the machine with the original scripts pushed, and a publication took in, is everywhere',
    file: 'legacy/merge-snapshot.ts',
    find: 'if (operation !== null) operations.push(operation);',
    replace: 'if (operation !== null && row.id % 2 === 0) operations.push(operation);',
  },
  {
    breaks: 'a mirror can be pulled: its digest is the one of its database',
    file: 'legacy/publish.ts',
    find: 'await this.#putSurely(keys.digest, formatDigest(sha));',
    replace: 'await this.#putSurely(keys.digest, formatDigest(content));',
  },
  {
    breaks: 'another sync doubles nothing by way of a mirror',
    file: 'legacy/copy.ts',
    find: 'if (entity === null) return null;',
    replace: 'if (entity === null) return row;',
    also: {
      file: 'legacy/merge-snapshot.ts',
      find: 'if (hasOwnRow(reader, row)) continue;',
      replace: '',
    },
  },
  {
    breaks: 'of an encrypted space no mirror is published',
    file: 'legacy/publish.ts',
    find: 'if (context.config.encrypted === true) {',
    replace: "if (context.config.cid === '') {",
  },
];

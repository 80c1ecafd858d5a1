/**
 * Applies one proposal as an agent would, for tests that kill it during the work. Argument 1 is the work and two
 * folders, as JSON.
 */
import { z } from 'zod';
import { CloneSpec } from '../../contract/projects/projects.ts';
import { ApplySpec } from '../../contract/projects/proposals.ts';
import { applyProposal } from '../../git/apply-proposal.ts';
import { NO_CREDENTIAL } from '../../git/context.ts';

const Input = z.object({
  spec: CloneSpec,
  proposal: ApplySpec,
  content: z.string(),
  base: z.string(),
  work: z.string(),
});
const { spec, proposal, content, base, work } = Input.parse(JSON.parse(process.argv[2] ?? ''));

await applyProposal(
  { spec, proposal, content: Buffer.from(content) },
  {
    reposBase: base,
    workDir: work,
    credential: NO_CREDENTIAL,
    signal: new AbortController().signal,
    timeoutMs: 60_000,
    progress: () => undefined,
  },
);

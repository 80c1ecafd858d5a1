import { MembridgeError } from '../contract/errors.ts';
import { codeOfNode } from '../contract/nodes/agent-calls.ts';

/** A problem in the words of a node. The caller reads them; no log may hold them. */
export class NodeProblem extends MembridgeError {
  /** @param code as the node named it */
  constructor(node: string, code: string, message: string) {
    super(codeOfNode(code), `Node ${node}: ${message}`);
    this.name = 'NodeProblem';
  }
}

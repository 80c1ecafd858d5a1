import { errorMessage } from '../../contract/errors.ts';
import { auditEntry, recordAudit } from '../../db/queries/record-audit.ts';
import { EngineGateway } from '../../gateway/gateway.ts';
import type { Deps } from '../deps.ts';
import { followKeys, keyLookup } from '../nodes/follow-keys.ts';

/**
 * Makes the gateway of this control plane. It learns of removed nodes, changed keys and pools from the events of all
 * control planes.
 */
export function openGateway(deps: Pick<Deps, 'config' | 'db' | 'events' | 'logger' | 'now'>): EngineGateway {
  const { config, db, logger, now } = deps;
  const gateway = new EngineGateway({
    engine: config.engine,
    signingKey: config.signingKey,
    ...keyLookup(deps),
    refused: ({ node, method, reason }) => {
      logger.warn({ node, method, reason }, 'the gateway refused an engine call of a node');
      const told = {
        actor: node,
        detail: `${node} called ${method} through its engine tunnel: ${reason}`,
        cause: 'a node may call at Temporal only what is its own',
      };
      const entry = auditEntry({ type: 'worker', id: node }, 'engine_call_refused', told, now());
      db.run((sql) => recordAudit(sql, [entry])).catch((error: unknown) =>
        logger.warn(
          { node, reason: errorMessage(error) },
          'the audit log could not record a refused engine call',
        ),
      );
    },
    now,
  });
  followKeys(deps, gateway);
  return gateway;
}

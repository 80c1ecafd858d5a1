import { Button, Modal } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import type { ProjectSummary } from '../../../../contract/projects/projects.ts';
import { withBasePath } from '../../api/base-path.ts';
import { projectApi } from '../../api/project-calls.ts';
import { Ago } from '../../components/Ago.tsx';
import { Copy } from '../../components/Copy.tsx';
import { dialogAttributes } from '../../components/dialog-attributes.ts';
import { notifyDone, notifyFailure } from '../../components/notify.ts';
import formStyles from './Forms.module.css';
import styles from './PushWebhook.module.css';

/** The push webhook of a project, with buttons to make one, to renew its secret, and to remove it. */
export function PushWebhook({ project }: { project: ProjectSummary }) {
  const { push_webhook: webhook } = project;
  const make = useMutation({
    mutationFn: () => projectApi.makePushWebhook(project.id),
    onError: (error) => notifyFailure('The push webhook was not made', error),
  });
  const remove = useMutation({
    mutationFn: () => projectApi.removePushWebhook(project.id),
    onSuccess: () => notifyDone(`The push webhook of ${project.name} was removed`),
    onError: (error) => notifyFailure('The push webhook is still there', error),
  });
  return (
    <span className={styles.state}>
      {webhook === null ? (
        <span className="dim">none: clones do not learn of pushes</span>
      ) : (
        <span>
          secret made <Ago at={webhook.made_at} />
        </span>
      )}
      <Button
        variant="default"
        size="compact-xs"
        loading={make.isPending}
        onClick={() => make.mutate()}
        data-testid="push-webhook-make"
      >
        {webhook === null ? 'Make one' : 'New secret'}
      </Button>
      {webhook !== null && (
        <Button
          variant="default"
          size="compact-xs"
          loading={remove.isPending}
          onClick={() => remove.mutate()}
          data-testid="push-webhook-remove"
        >
          Remove
        </Button>
      )}
      <Modal
        opened={make.data !== undefined}
        onClose={make.reset}
        title={<strong>Push webhook of {project.name}</strong>}
        attributes={dialogAttributes('push-webhook-dialog')}
      >
        {make.data !== undefined && (
          <div className={formStyles.form}>
            <p>
              Enter both at GitHub, GitLab, Gitea or Forgejo, for push events, with content type JSON. The
              secret is shown only this once.
            </p>
            <Line
              what="address"
              text={make.data.url ?? `${window.location.origin}${withBasePath(make.data.path)}`}
            />
            <Line what="secret" text={make.data.secret} />
            <Button onClick={make.reset} data-testid="push-webhook-close">
              Close
            </Button>
          </div>
        )}
      </Modal>
    </span>
  );
}

function Line({ what, text }: { what: 'address' | 'secret'; text: string }) {
  return (
    <div className={styles.line}>
      <span className="dim">{what === 'address' ? 'Address' : 'Secret'}</span>
      <code data-testid={`push-webhook-${what}`}>{text}</code>
      <Copy text={text} what={`the ${what}`} testId={`push-webhook-copy-${what}`} />
    </div>
  );
}

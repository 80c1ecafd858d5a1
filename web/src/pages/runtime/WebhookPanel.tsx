import { Button, Group } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { IconEye, IconEyeOff, IconRefresh } from '@tabler/icons-react';
import { useState } from 'react';
import type { WebhookSecret } from '../../../../contract/tasks/webhooks.ts';
import { taskApi } from '../../api/task-calls.ts';
import { Ago } from '../../components/Ago.tsx';
import { ConfirmDialog } from '../../components/ConfirmDialog.tsx';
import { Copy } from '../../components/Copy.tsx';
import { notifyDone, notifyFailure } from '../../components/notify.ts';
import { Panel } from '../../components/Panel.tsx';
import styles from './TaskSettings.module.css';

/** The secret that signs webhooks of tasks. The page requests it only to show it, and drops it when it is hidden. */
export function WebhookPanel() {
  const [secret, setSecret] = useState<WebhookSecret | null>(null);
  const [asking, setAsking] = useState(false);
  const show = useMutation({
    mutationFn: taskApi.webhookSecret,
    gcTime: 0,
    onSuccess: setSecret,
    onError: (error) => notifyFailure('The secret could not be loaded', error),
  });
  const rotate = useMutation({
    mutationFn: taskApi.rotateWebhookSecret,
    gcTime: 0,
    onSuccess: (made) => {
      setSecret(made);
      notifyDone('The secret was renewed');
    },
    onError: (error) => notifyFailure('The secret was not renewed', error),
    onSettled: () => setAsking(false),
  });
  return (
    <Panel title="Webhooks" note="Calls when tasks end" testId="webhook-panel">
      <div className={styles.form}>
        <p className="dim">
          Each call is signed: <code>Membridge-Signature: t=…,v1=…</code>, where <code>v1</code> is the
          HMAC-SHA256 of <code>t.body</code> under this secret.
        </p>
        {secret !== null && (
          <p className={styles.secret}>
            <code data-testid="webhook-secret">{secret.secret}</code>
            <Copy text={secret.secret} what="the secret" testId="webhook-copy" />
            <span className="dim">
              made <Ago at={secret.made_at} />
            </span>
          </p>
        )}
        <Group gap="xs">
          {secret === null ? (
            <Button
              variant="default"
              leftSection={<IconEye size={15} />}
              loading={show.isPending}
              onClick={() => show.mutate()}
              data-testid="webhook-show"
            >
              Show the secret
            </Button>
          ) : (
            <Button
              variant="default"
              leftSection={<IconEyeOff size={15} />}
              onClick={() => {
                setSecret(null);
                show.reset();
                rotate.reset();
              }}
              data-testid="webhook-hide"
            >
              Hide the secret
            </Button>
          )}
          <Button
            variant="default"
            leftSection={<IconRefresh size={15} />}
            onClick={() => setAsking(true)}
            data-testid="webhook-rotate"
          >
            Make a new one…
          </Button>
        </Group>
      </div>
      <ConfirmDialog
        opened={asking}
        title="Make a new secret?"
        confirm="Make a new secret"
        decline="Keep this one"
        busy={rotate.isPending}
        onConfirm={() => rotate.mutate()}
        onCancel={() => setAsking(false)}
      >
        It signs everything sent from now on, repeated tries included. Give it to every receiver that checks
        signatures.
      </ConfirmDialog>
    </Panel>
  );
}

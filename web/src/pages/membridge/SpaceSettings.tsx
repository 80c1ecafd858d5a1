import { Button } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconAdjustmentsHorizontal } from '@tabler/icons-react';
import type { SpaceFacts } from '../../../../contract/memory/memory.ts';
import { Facts } from '../../components/Facts.tsx';
import { Panel } from '../../components/Panel.tsx';
import { describeCoverage } from '../../format/words.ts';
import { EditSpace } from './EditSpace.tsx';
import { PublishMirror } from './PublishMirror.tsx';
import styles from './Settings.module.css';

/** The settings of a space, and the button to change them. */
export function SpaceSettings(props: { space: SpaceFacts; onSaved: (saved: SpaceFacts) => void }) {
  const { space } = props;
  const [opened, { open, close }] = useDisclosure();
  const { excluded, aliases } = space;
  return (
    <Panel
      title="Settings"
      testId="space-settings"
      actions={
        <>
          {space.mirror && <PublishMirror space={space} />}
          <Button
            variant="default"
            size="xs"
            leftSection={<IconAdjustmentsHorizontal size={14} />}
            onClick={open}
            data-testid="space-settings-open"
          >
            Change
          </Button>
        </>
      }
    >
      <div className={styles.summary}>
        <Facts
          facts={[
            { name: 'Covers', value: describeCoverage(space.projects), testId: 'settings-projects' },
            {
              name: 'Never sent',
              value: excluded.length === 0 ? <span className="dim">–</span> : excluded.join(', '),
              testId: 'settings-excluded',
            },
            {
              name: 'Secrets',
              value: space.redact ? 'Removed before sending' : 'Sent as they are',
              testId: 'settings-redact',
            },
            {
              name: 'Encryption',
              value: space.encrypted ? 'For the enrolled nodes only' : 'Off',
              testId: 'settings-encrypted',
            },
            {
              name: 'Mirror',
              value: space.mirror ? 'For machines with the original’s scripts' : 'Off',
              testId: 'settings-mirror',
            },
            ...(aliases.length === 0
              ? []
              : [
                  {
                    name: 'Older ids',
                    value: aliases.map((alias) => <code key={alias}>{alias} </code>),
                    testId: 'settings-aliases',
                  },
                ]),
          ]}
        />
      </div>
      {opened && (
        <EditSpace
          space={space}
          onClose={close}
          onSaved={(saved) => {
            close();
            props.onSaved(saved);
          }}
        />
      )}
    </Panel>
  );
}

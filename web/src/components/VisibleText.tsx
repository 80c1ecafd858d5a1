import { Fragment } from 'react';
import { visibleParts } from '../../../contract/http/hidden-characters.ts';
import styles from './VisibleText.module.css';

/** Text from an untrusted source. Characters that are invisible, or that reorder others, are drawn as their names. */
export function VisibleText({ children }: { children: string }) {
  return (
    <bdi dir="ltr">
      {visibleParts(children).map(({ text, isHidden }, index) =>
        isHidden ? (
          // oxlint-disable-next-line react/no-array-index-key -- the text of one element never changes its order
          <span key={index} className={styles.hidden} title="A character that cannot be seen">
            {text}
          </span>
        ) : (
          // oxlint-disable-next-line react/no-array-index-key -- the same
          <Fragment key={index}>{text}</Fragment>
        ),
      )}
    </bdi>
  );
}

import styles from './Projects.module.css';

/** A project's tags, as small labels. */
export function Tags({ tags }: { tags: readonly string[] }) {
  if (tags.length === 0) return <span className="dim">–</span>;
  return (
    <span className={styles.tags}>
      {tags.map((tag) => (
        <span key={tag} className={styles.tag}>
          {tag}
        </span>
      ))}
    </span>
  );
}

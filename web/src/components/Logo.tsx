/** The logo of Membridge: two nodes and the bridge between them. */
export function Logo({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" fill="#5753c6" />
      <path d="M7 21.5a9 9 0 0 1 18 0" fill="none" stroke="#fff" strokeWidth="2.6" strokeLinecap="round" />
      <circle cx="7" cy="21.5" r="3" fill="#fff" />
      <circle cx="25" cy="21.5" r="3" fill="#fff" />
    </svg>
  );
}

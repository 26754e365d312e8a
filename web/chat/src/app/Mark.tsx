/** Our mark: two voices, one turned to the other. */
export function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg className="app-mark" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true" focusable="false">
      <path className="app-mark-one" d={voice} />
      <path className="app-mark-other" d={voice} transform="rotate(180 16 16)" />
    </svg>
  );
}

const voice = 'M3 11.500a7.5 7.5 0 1 1 15 0c0 7-5 11.5-12 13.5 3-2.2 4.6-4.2 5-6.100A7.5 7.5 0 0 1 3 11.500z';

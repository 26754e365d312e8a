// The signs on the controls of the composer, drawn on a grid of 20.
const paths = {
  send: 'M10 16V4.5M5 9.5l5-5 5 5',
  stop: 'M6 6h8v8H6z',
  down: 'M6 8l4 4 4-4',
  check: 'M4.5 10.5l3.5 3.5 7.5-8',
  close: 'M5.5 5.5l9 9M14.5 5.5l-9 9',
  pencil: 'M4 16l.8-3.2L13 4.6a1.6 1.6 0 012.3 2.3L7.2 15.2z',
  sliders:
    'M3.5 6.5h6M14 6.5h2.5M3.5 13.5H6M10.5 13.5h6M11.75 4.25a2.25 2.25 0 110 4.5 2.25 2.25 0 010-4.5zM8.25 11.25a2.25 2.25 0 110 4.5 2.25 2.25 0 010-4.5z',
  queue: 'M4 5.5h12M4 10h12M4 14.5h6',
  search: 'M9 4a5 5 0 110 10A5 5 0 019 4zM12.7 12.7L16 16',
};

export type GlyphName = keyof typeof paths;

export function Glyph({ name }: { name: GlyphName }) {
  return (
    <svg className={`comp-glyph comp-glyph-${name}`} viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

// The signs on what is pressed, drawn for this page on a grid of 20 with one line of 1.5.
const paths = {
  menu: 'M3.5 6h13M3.5 10h9M3.5 14h13',
  plus: 'M10 4v12M4 10h12',
  compose:
    'M9 4.5H6A2.5 2.5 0 003.5 7v7A2.5 2.5 0 006 16.5h7a2.5 2.5 0 002.5-2.5v-3M8 12l.7-2.9 6-6a1.55 1.55 0 012.2 2.2l-6 6z',
  search: 'M9 4a5 5 0 110 10A5 5 0 019 4zM12.7 12.7L16.5 16.5',
  close: 'M5 5l10 10M15 5L5 15',
  more: 'M5 10h.01M10 10h.01M15 10h.01',
  check: 'M4.5 10.5l3.5 3.5 7.5-8',
  down: 'M6 8l4 4 4-4',
  up: 'M6 12l4-4 4 4',
  left: 'M12 5l-5 5 5 5',
  right: 'M8 5l5 5-5 5',
  back: 'M16 10H4M9 5l-5 5 5 5',
  send: 'M10 16V4.5M5 9.5l5-5 5 5',
  stop: 'M6 6h8v8H6z',
  pencil: 'M4 16l.8-3.2L13 4.6a1.6 1.6 0 012.3 2.3L7.2 15.2z',
  refresh: 'M16 10a6 6 0 11-1.9-4.4L16 7.4M16 3.600v3.800h-3.800',
  copy: 'M7.5 7.5h8v8h-8zM12.5 4.5h-8v8',
  trash: 'M4 6h12M8 6V4.5h4V6M5.5 6l.7 9.5h7.6l.7-9.5M8.5 9v4M11.5 9v4',
  fork: 'M6 4v12M6 12c0-3 8-1.5 8-5.5M4.5 4h3M12.2 6.3L14 4.5l1.8 1.8',
  pin: 'M7 3.5h6M8 3.5v5L5.5 12h9L12 8.5v-5M10 12v4.5',
  unpin: 'M7 3.5h6M8 3.5v5L5.5 12h9L12 8.5v-5M10 12v4.5M3.5 3.5l13 13',
  archive: 'M3.5 4.5h13v3.5h-13zM5 8v7.5h10V8M8.5 11h3',
  unarchive: 'M3.5 4.5h13v3.5h-13zM5 8v7.5h10V8M10 14v-3.5M8.5 12l1.5-1.5 1.5 1.5',
  spark: 'M9 3.5c.6 3.8 2.2 5.4 6 6-3.8.6-5.4 2.2-6 6-.6-3.8-2.2-5.4-6-6 3.8-.6 5.4-2.2 6-6zM15.5 13.5v3M14 15h3',
  sliders:
    'M3.5 6.5h6M14 6.5h2.5M3.5 13.5H6M10.5 13.5h6M11.75 4.25a2.25 2.25 0 110 4.5 2.25 2.25 0 010-4.5zM8.25 11.25a2.25 2.25 0 110 4.5 2.25 2.25 0 010-4.5z',
  person: 'M10 4a3 3 0 110 6 3 3 0 010-6zM4.5 16.5c.6-3 2.6-4.5 5.5-4.5s4.9 1.5 5.5 4.5',
  leave: 'M8 4.5H4.5v11H8M8.5 10h8M13.5 7l3 3-3 3',
  eye: 'M2.5 10c2-3.3 4.5-5 7.5-5s5.5 1.7 7.5 5c-2 3.3-4.5 5-7.5 5s-5.5-1.7-7.5-5zM10 8a2 2 0 110 4 2 2 0 010-4z',
  eyeOff: 'M2.5 10c2-3.3 4.5-5 7.5-5s5.5 1.7 7.5 5c-2 3.3-4.5 5-7.5 5s-5.5-1.7-7.5-5zM4 16L16 4',
  sun: 'M10 7a3 3 0 110 6 3 3 0 010-6zM10 2.500v1.500M10 16v1.500M2.5 10H4M16 10h1.500M4.7 4.700l1.1 1.100M14.2 14.200l1.1 1.100M15.3 4.700l-1.1 1.100M5.8 14.200l-1.1 1.1',
  moon: 'M16 12.200A6.5 6.5 0 017.8 4 6.5 6.5 0 1016 12.200z',
  globe: 'M10 3a7 7 0 110 14 7 7 0 010-14zM3 10h14M10 3c2.2 2 3.2 4.3 3.2 7s-1 5-3.2 7c-2.2-2-3.2-4.3-3.2-7s1-5 3.2-7z',
  keys: 'M3 5.500h14v9H3zM5.5 8.500h.01M8.5 8.500h.01M11.5 8.500h.01M14.5 8.500h.01M6.5 11.500h7',
  warn: 'M10 4l7 12H3zM10 8.500v3.500M10 14h.01',
  info: 'M10 3a7 7 0 110 14 7 7 0 010-14zM10 9.500v4M10 6.800h.01',
  link: 'M8.5 11.500l3-3M9 6.500l1.8-1.800a3.2 3.2 0 014.5 4.500L13.5 11M11 13.500l-1.8 1.800a3.2 3.2 0 01-4.5-4.500L6.5 9',
  code: 'M7 6l-4 4 4 4M13 6l4 4-4 4',
  queue: 'M4 5.500h12M4 10h12M4 14.500h6',
  play: 'M6.5 4.500l9 5.5-9 5.500z',
  clock: 'M10 3a7 7 0 110 14 7 7 0 010-14zM10 6v4l2.5 2',
} as const;

export type IconName = keyof typeof paths;

/** What points along the line turns round in languages that are written from right to left. */
const turning: ReadonlySet<IconName> = new Set<IconName>(['left', 'right', 'back', 'leave', 'menu', 'queue', 'play']);

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg
      className={turning.has(name) ? 'ui-icon ui-icon-turns' : 'ui-icon'}
      viewBox="0 0 20 20"
      width={size}
      height={size}
      aria-hidden="true"
      focusable="false"
    >
      <path
        d={paths[name]}
        fill={name === 'stop' ? 'currentColor' : undefined}
        strokeWidth={name === 'more' ? 2.25 : undefined}
      />
    </svg>
  );
}

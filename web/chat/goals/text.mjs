// What the model writes: Markdown as models write it, with marks in it (m17m) by which a text is found again.

const words =
  'the tide comes and goes over the flat sand while a small boat waits for water under its keel and somebody reads'.split(
    ' ',
  );

/** Words, every eighth of them a mark. */
function writer() {
  let word = 0;
  let mark = 0;
  return (count) =>
    Array.from({ length: count }, () => (++word % 8 ? words[(word * 7) % words.length] : `m${++mark}m`)).join(' ');
}

const prose = [
  (say, n) => `## ${n}. ${say(4)}`,
  (say) => `${say(30)} **${say(3)}** and \`${say(1)}\`, ${say(20)}.`,
  (say) => Array.from({ length: 5 }, () => `- ${say(6)} *${say(2)}* ${say(4)}`).join('\n'),
  (say, n) =>
    '```python\n' +
    Array.from({ length: 8 }, (_, i) => `def step_${n}_${i}(tide):  # ${say(8)}\n    return tide * ${i} + ${n}`).join(
      '\n',
    ) +
    '\n```',
  (say) => `${say(12)} $e^{i\\pi} + 1 = 0$ ${say(12)} [${say(2)}](https://example.org/a) ${say(8)}.`,
  (say) =>
    `| ${say(1)} | ${say(2)} | ${say(1)} |\n|---|:-:|--:|\n` +
    Array.from({ length: 6 }, (_, i) => `| ${say(3)} | ${say(4)} | ${i * 12} |`).join('\n'),
  () => '$$\n\\int_0^1 x^2\\,dx = \\frac{1}{3}\n$$',
  (say) => Array.from({ length: 4 }, (_, i) => `${i + 1}. ${say(8)}\n   - ${say(6)}`).join('\n'),
  (say) => `> ${say(16)}\n> ${say(10)}`,
];

/** What is one block of the whole size. */
const blocks = {
  code: { head: '```python\n', line: (say, n) => `def step_${n}(tide):  # ${say(8)}\n`, foot: '```\n' },
  table: {
    head: '| a | b | c |\n|---|:-:|--:|\n',
    line: (say, n) => `| ${say(5)} | **${say(2)}** ${say(4)} | ${n} |\n`,
    foot: '\n',
  },
};

export const kinds = ['prose', ...Object.keys(blocks)];

/** documentOf returns a document of a kind, of about so many characters. */
export function documentOf(kind, size) {
  const say = writer();
  let text = '';
  if (kind === 'prose') {
    for (let n = 0; text.length < size; n++) text += `${prose[n % prose.length](say, n)}\n\n`;
    return text;
  }
  const { head, line, foot } = blocks[kind];
  text = head;
  for (let n = 0; text.length < size; n++) text += line(say, n);
  return text + foot;
}

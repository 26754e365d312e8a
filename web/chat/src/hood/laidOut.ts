// An operation as people write it. The page sends it without room, which is nothing to read.
const tokens = /\((?:[^()"]|"(?:[^"\\]|\\.)*"|\([^()]*\))*\)|[{}]|\.{3}(?:\s*on\b)?|@\w+|\w+\s*:|\w+|\S/g;

/** laidOut returns a document with one field a line. */
export function laidOut(document: string): string {
  const lines: string[] = [];
  let line = '';
  let depth = 0;
  const end = () => {
    if (line) lines.push('  '.repeat(depth) + line);
    line = '';
  };
  for (const [token] of document.matchAll(tokens)) {
    if (token === '{') {
      line = line ? `${line} {` : '{';
      end();
      depth++;
    } else if (token === '}') {
      end();
      depth--;
      line = '}';
      end();
    } else if (token.startsWith('(')) {
      const begins = /^(query|mutation|subscription)$/.test(line) ? ' ' : '';
      line += begins + token.replaceAll(/\s+/g, ' ').replaceAll(/:(?=\S)/g, ': ');
    } else {
      const goesOn = depth === 0 || token.startsWith('@') || /(:|\.{3}(\s*on)?)$/.test(line);
      if (!goesOn) end();
      line += line && !line.endsWith('...') ? ` ${token}` : token;
    }
  }
  end();
  return lines.join('\n');
}

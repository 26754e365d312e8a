// Runs beside the page: a code that is slow to read slows nothing else down.
import { common, createLowlight } from 'lowlight';
import type { Piece } from './highlight.ts';

const lowlight = createLowlight(common);

interface Node {
  type: string;
  value?: string;
  properties?: { className?: string[] };
  children?: Node[];
}

function piecesOf(nodes: Node[]): Piece[] {
  return nodes.map((node) =>
    node.type === 'text'
      ? (node.value ?? '')
      : [(node.properties?.className ?? []).join(' '), piecesOf(node.children ?? [])],
  );
}

self.onmessage = ({ data }: MessageEvent<{ id: number; text: string; language: string }>) => {
  let pieces: Piece[] | null = null;
  try {
    if (lowlight.registered(data.language)) {
      pieces = piecesOf(lowlight.highlight(data.language, data.text).children as Node[]);
    }
  } catch {
    // Shown without colours.
  }
  self.postMessage({ id: data.id, pieces });
};

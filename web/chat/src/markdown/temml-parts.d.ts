// The parts of Temml that the page takes: its types are of the whole.
declare module 'temml/src/Settings.js' {
  import type { Options } from 'temml';
  export default class Settings {
    constructor(options: Options);
    displayMode: boolean;
    maxSize: [number, number];
  }
}
declare module 'temml/src/constants.js' {
  export const StyleLevel: { DISPLAY: number; TEXT: number };
}
declare module 'temml/src/Style.js' {
  export default class Style {
    constructor(data: { level: number; maxSize: [number, number] });
  }
}
declare module 'temml/src/parseTree.js' {
  import type Settings from 'temml/src/Settings.js';
  export default function parseTree(source: string, settings: Settings): object[];
}
declare module 'temml/src/buildMathML.js' {
  import type Settings from 'temml/src/Settings.js';
  import type Style from 'temml/src/Style.js';
  export default function buildMathML(
    tree: object[],
    source: string,
    style: Style,
    settings: Settings,
  ): { toNode(): Element };
}
declare module 'temml/contrib/physics/physics.js';
declare module 'temml/contrib/texvc/texvc.js';
declare module 'temml/contrib/mhchem/mhchem.js';

// Temml's way from TeX to MathML, with the packages that models write, and nothing else of it: no search through a
// page, no output as text. Chemistry is a part of its own: it is large, and rare.
import buildMathML from 'temml/src/buildMathML.js';
import { StyleLevel } from 'temml/src/constants.js';
import parseTree from 'temml/src/parseTree.js';
import Settings from 'temml/src/Settings.js';
import Style from 'temml/src/Style.js';
import 'temml/contrib/physics/physics.js';
import 'temml/contrib/texvc/texvc.js';
import type { Options } from 'temml';

/** toMathML throws for a source that has a fault. */
export function toMathML(source: string, options: Options): Element {
  const settings = new Settings(options);
  const level = settings.displayMode ? StyleLevel.DISPLAY : StyleLevel.TEXT;
  const style = new Style({ level, maxSize: settings.maxSize });
  return buildMathML(parseTree(source, settings), source, style, settings).toNode();
}

export const loadChemistry = () => import('temml/contrib/mhchem/mhchem.js');

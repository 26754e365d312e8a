/** Shelf is a localStorage of a test. */
export class Shelf {
  map = new Map();
  get length() {
    return this.map.size;
  }
  key(i) {
    return [...this.map.keys()][i] ?? null;
  }
  getItem(name) {
    return this.map.get(name) ?? null;
  }
  setItem(name, value) {
    this.map.set(name, value);
  }
  removeItem(name) {
    this.map.delete(name);
  }
}

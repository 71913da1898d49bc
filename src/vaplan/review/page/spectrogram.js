// The spectrogram of one video: pieces of the file that the server made, as small pictures.
// The content of the file is described in src/vaplan/media/spectrogram.py.

const HEADER = 64; // bytes
const BANDS = 64;
const FRAMES_HZ = 50; // of the finest resolution
const COARSER = 4;
const TILE = 512; // frames
const MOST_TILES = 64; // that are kept
const RANGE = 140; // levels from the quietest that is shown to the loudest: 55 decibels
const LEAST_LOUD = 102; // -60 decibels; the noise of silence is not amplified further

export class Spectrogram {
  // read(start, end) returns a promise of these bytes of the file; onLoad() follows a new piece.
  constructor(read, onLoad) {
    this.read = read;
    this.onLoad = onLoad;
    this.resolutions = [];
    this.tiles = new Map(); // pictures by key, the last used one last; null while one is read
    this.loudest = LEAST_LOUD;
    this.colours = [];
  }

  async open() {
    const header = new DataView(await this.read(0, HEADER));
    let offset = HEADER;
    for (let place = 0; place < HEADER; place += 4) {
      const frames = header.getUint32(place, true);
      if (!frames) break;
      const rate = FRAMES_HZ / COARSER ** this.resolutions.length;
      this.resolutions.push({ frames, offset, rate });
      offset += frames * BANDS;
    }
    if (!this.resolutions.length) return;
    const last = this.resolutions.at(-1);
    const levels = new Uint8Array(await this.read(last.offset, offset));
    this.loudest = levels.reduce((a, b) => Math.max(a, b), LEAST_LOUD);
  }

  // Draw seconds `start` to `end` into a box; pieces that are not there yet follow with onLoad.
  draw(context, { left, top, width, height }, start, end, colours) {
    if (!this.resolutions.length) return;
    if (colours.join() !== this.colours.join()) {
      this.colours = colours;
      this.tiles.clear();
    }
    const scale = width / (end - start);
    const fitting = this.resolutions.findLastIndex(({ rate }) => rate >= scale);
    const coarsest = this.resolutions.length - 1;
    // the whole file in few frames lies under the pieces that are still read
    for (const place of new Set([coarsest, Math.max(0, fitting)])) {
      const { frames, rate } = this.resolutions[place];
      const first = Math.max(0, Math.floor((start * rate) / TILE));
      const last = Math.min(Math.ceil(frames / TILE) - 1, Math.floor((end * rate) / TILE));
      for (let number = first; number <= last; number += 1) {
        const tile = this.tile(place, number);
        if (!tile) continue;
        const from = (number * TILE) / rate;
        const x = Math.round(left + (from - start) * scale); // whole pixels show no seams
        const right = Math.round(left + (from + tile.width / rate - start) * scale);
        context.drawImage(tile, x, top, right - x, height);
      }
    }
  }

  tile(place, number) {
    const key = `${place}:${number}`;
    const tile = this.tiles.get(key);
    if (tile === undefined) {
      this.load(key, this.resolutions[place], number);
      return null;
    }
    this.tiles.delete(key);
    this.tiles.set(key, tile);
    return tile;
  }

  async load(key, { frames, offset }, number) {
    this.tiles.set(key, null);
    const first = number * TILE;
    const end = Math.min(frames, first + TILE);
    let picture = null;
    try {
      const levels = await this.read(offset + first * BANDS, offset + end * BANDS);
      picture = paint(new Uint8Array(levels), this.loudest, this.colours);
    } catch {
      return; // the coarser piece stays
    }
    this.tiles.set(key, picture);
    for (const oldest of this.tiles.keys()) {
      if (this.tiles.size <= MOST_TILES) break;
      this.tiles.delete(oldest);
    }
    this.onLoad();
  }
}

// A picture of levels, one frame a column, low frequencies below.
function paint(levels, loudest, colours) {
  const picture = document.createElement("canvas");
  picture.width = levels.length / BANDS;
  picture.height = BANDS;
  const context = picture.getContext("2d");
  const image = context.createImageData(picture.width, BANDS);
  const pixels = new Uint32Array(image.data.buffer);
  const palette = ramp(colours);
  const quietest = loudest - RANGE;
  for (let frame = 0; frame < picture.width; frame += 1) {
    for (let band = 0; band < BANDS; band += 1) {
      const share = (levels[frame * BANDS + band] - quietest) / RANGE;
      const colour = palette[Math.round(255 * Math.max(0, Math.min(1, share)))];
      pixels[(BANDS - 1 - band) * picture.width + frame] = colour;
    }
  }
  context.putImageData(image, 0, 0);
  return picture;
}

// 256 colours from the first to the last, as the browser mixes them.
function ramp(colours) {
  const strip = document.createElement("canvas");
  strip.width = 256;
  strip.height = 1;
  const context = strip.getContext("2d");
  const gradient = context.createLinearGradient(0, 0, 256, 0);
  colours.forEach((colour, place) => gradient.addColorStop(place / (colours.length - 1), colour));
  context.fillStyle = gradient;
  context.fillRect(0, 0, 256, 1);
  return new Uint32Array(context.getImageData(0, 0, 256, 1).data.buffer);
}

// Many points on a canvas: drawn, moved, zoomed, found under the mouse, a finger, or by arrow keys.

import { calm } from "./dom.js";
import { handle } from "./hands.js";

const MARGIN = 26;
const NEAR_PX = 14;
const MOST_ZOOM = 60;
const CELLS = 64;
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{onpoint: (place: number) => void, onpick: (place: number) => void}} events
 *   a point is under the mouse or the arrow keys (-1: none is); a point is clicked, tapped or taken by Enter
 */
export function makePlane(canvas, { onpoint, onpick }) {
  const brush = canvas.getContext("2d");
  let data = { x: [], y: [], side: 1 };
  let style = { colour: () => "#888", groups: [], faint: () => false, labels: [], ink: "#000", paper: "#fff" };
  let cells = new Map();
  let zoom = 1;
  let left = 0;
  let top = 0;
  let pointed = -1;
  let wide = 1;
  let high = 1;
  let asked = 0;

  const unit = () => (Math.min(wide, high) - 2 * MARGIN) / data.side;
  const atX = (place) => (wide / 2 + (data.x[place] - data.side / 2) * unit() - wide / 2) * zoom + wide / 2 + left;
  const atY = (place) => (high / 2 + (data.y[place] - data.side / 2) * unit() - high / 2) * zoom + high / 2 + top;

  function redraw() {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      draw();
    });
  }

  function draw() {
    const ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
      canvas.width = Math.round(wide * ratio);
      canvas.height = Math.round(high * ratio);
    }
    brush.setTransform(ratio, 0, 0, ratio, 0, 0);
    brush.clearRect(0, 0, wide, high);
    const size = Math.max(1.2, Math.min(7, (90 / Math.sqrt(data.x.length || 1)) * Math.sqrt(zoom)));
    for (const faint of [true, false]) {
      brush.globalAlpha = faint ? 0.16 : 0.92;
      for (const [colour, places] of style.groups) drawGroup(colour, places, faint, size);
    }
    brush.globalAlpha = 1;
    for (const label of style.labels) drawLabel(label);
    if (pointed >= 0) ring(atX(pointed), atY(pointed), size + 5);
  }

  function drawGroup(colour, places, faint, size) {
    brush.fillStyle = colour;
    brush.beginPath();
    for (const place of places) {
      if (style.faint(place) !== faint) continue;
      const x = atX(place);
      const y = atY(place);
      if (x < -size || y < -size || x > wide + size || y > high + size) continue;
      if (size < 2) brush.rect(x - size, y - size, 2 * size, 2 * size);
      else {
        brush.moveTo(x + size, y);
        brush.arc(x, y, size, 0, 7);
      }
    }
    brush.fill();
  }

  function drawLabel({ x, y, text }) {
    brush.font = "600 13px system-ui, sans-serif";
    brush.textAlign = "center";
    brush.textBaseline = "middle";
    brush.lineWidth = 4;
    brush.lineJoin = "round";
    brush.strokeStyle = style.paper;
    brush.fillStyle = style.ink;
    const place = [(x - data.side / 2) * unit() * zoom + wide / 2 + left, (y - data.side / 2) * unit() * zoom + high / 2 + top];
    brush.strokeText(text, ...place);
    brush.fillText(text, ...place);
  }

  function ring(x, y, size) {
    brush.lineWidth = 5;
    for (const [colour, width] of [[style.paper, 6], [style.ink, 2.5]]) {
      brush.strokeStyle = colour;
      brush.lineWidth = width;
      brush.beginPath();
      brush.arc(x, y, size, 0, 7);
      brush.stroke();
    }
  }

  function sort() {
    cells = new Map();
    for (let place = 0; place < data.x.length; place += 1) {
      const cell = cellOf(data.x[place], data.y[place]);
      if (!cells.has(cell)) cells.set(cell, []);
      cells.get(cell).push(place);
    }
  }

  const cellOf = (x, y) => Math.floor((x / (data.side + 1)) * CELLS) * 1000 + Math.floor((y / (data.side + 1)) * CELLS);

  function nearest(px, py) {
    const scale = unit() * zoom;
    const x = (px - wide / 2 - left) / scale + data.side / 2;
    const y = (py - high / 2 - top) / scale + data.side / 2;
    const reach = NEAR_PX / scale;
    const step = (data.side + 1) / CELLS;
    let best = -1;
    let least = reach * reach;
    for (let cx = Math.floor((x - reach) / step); cx <= Math.floor((x + reach) / step); cx += 1) {
      for (let cy = Math.floor((y - reach) / step); cy <= Math.floor((y + reach) / step); cy += 1) {
        for (const place of cells.get(cx * 1000 + cy) ?? []) {
          const away = (data.x[place] - x) ** 2 + (data.y[place] - y) ** 2;
          if (away <= least && !style.faint(place)) [best, least] = [place, away];
        }
      }
    }
    return best;
  }

  function point(place) {
    if (place === pointed) return;
    pointed = place;
    canvas.style.cursor = place < 0 ? "" : "pointer";
    onpoint(place);
    redraw();
  }

  function zoomAt(px, py, factor) {
    const next = Math.min(MOST_ZOOM, Math.max(1, zoom * factor));
    left = px - wide / 2 - ((px - wide / 2 - left) * next) / zoom;
    top = py - high / 2 - ((py - high / 2 - top) * next) / zoom;
    zoom = next;
    if (zoom === 1) left = top = 0;
    redraw();
  }

  // the next point that lies more in this direction than aside of it
  function neighbour([dx, dy]) {
    if (pointed < 0) return nearestToMiddle();
    let best = pointed;
    let least = Infinity;
    for (let place = 0; place < data.x.length; place += 1) {
      if (place === pointed || style.faint(place)) continue;
      const x = data.x[place] - data.x[pointed];
      const y = data.y[place] - data.y[pointed];
      const along = x * dx + y * dy;
      const aside = Math.abs(x * dy + y * dx);
      if (along > 0 && along >= aside && along + 2 * aside < least) [best, least] = [place, along + 2 * aside];
    }
    return best;
  }

  function nearestToMiddle() {
    let best = -1;
    let least = Infinity;
    for (let place = 0; place < data.x.length; place += 1) {
      const away = (atX(place) - wide / 2) ** 2 + (atY(place) - high / 2) ** 2;
      if (away < least && !style.faint(place)) [best, least] = [place, away];
    }
    return best;
  }

  function reveal(place) {
    const x = atX(place);
    const y = atY(place);
    if (x < MARGIN || x > wide - MARGIN) left += wide / 2 - x;
    if (y < MARGIN || y > high - MARGIN) top += high / 2 - y;
    redraw();
  }

  handle(canvas, {
    zoomAt,
    hover: (x, y) => point(nearest(x, y)),
    drag(dx, dy) {
      left += dx;
      top += dy;
      redraw();
    },
    tap(x, y) {
      const place = nearest(x, y);
      point(place);
      if (place >= 0) onpick(place);
    },
  });
  canvas.addEventListener("pointerleave", () => document.activeElement !== canvas && point(-1));
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (WAYS[event.key] && event.shiftKey) {
      left -= 60 * WAYS[event.key][0];
      top -= 60 * WAYS[event.key][1];
      redraw();
    } else if (WAYS[event.key]) {
      const place = neighbour(WAYS[event.key]);
      point(place);
      if (place >= 0) reveal(place);
    } else if (event.key === "+" || event.key === "=") zoomAt(wide / 2, high / 2, 1.4);
    else if (event.key === "-") zoomAt(wide / 2, high / 2, 1 / 1.4);
    else if (event.key === "0") whole();
    else if ((event.key === "Enter" || event.key === " ") && pointed >= 0) onpick(pointed);
    else return;
    event.preventDefault();
  });

  function whole() {
    [zoom, left, top] = [1, 0, 0];
    redraw();
  }

  new ResizeObserver(([entry]) => {
    ({ width: wide, height: high } = entry.contentRect);
    if (wide && high) draw();
  }).observe(canvas);

  return {
    /** Take points: `{x, y, side}`. */
    show(points) {
      data = points;
      pointed = -1;
      sort();
      redraw();
    },
    /** Take colours, what is faint, and labels. */
    paint(next) {
      style = { ...style, ...next };
      redraw();
    },
    zoom: (factor) => zoomAt(wide / 2, high / 2, factor),
    whole,
    /** Bring a point into view and mark it. */
    go(place) {
      point(place);
      if (zoom < 2.5 && !calm()) zoomAt(atX(place), atY(place), 1.6);
      reveal(place);
    },
    /** Where a point is on the canvas, in CSS pixels. */
    where: (place) => [atX(place), atY(place)],
  };
}

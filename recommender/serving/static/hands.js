// A mouse and fingers on a canvas: wheel and pinch zoom, a drag moves, a tap picks.

const STILL_PX = 6;
const WHEEL = 0.0016;
const PINCH = 0.01;

/**
 * Listen to a mouse and fingers.
 * @param {HTMLCanvasElement} canvas
 * @param {{zoomAt: (x: number, y: number, factor: number) => void, hover: (x: number, y: number) => void,
 *   drag: (dx: number, dy: number) => void, tap: (x: number, y: number) => void}} what in CSS pixels of the canvas
 */
export function handle(canvas, { zoomAt, hover, drag, tap }) {
  const fingers = new Map();
  let dragged = 0;
  const wheel = (event) => {
    event.preventDefault();
    zoomAt(event.offsetX, event.offsetY, Math.exp(-event.deltaY * (event.ctrlKey ? PINCH : WHEEL)));
  };
  canvas.addEventListener("wheel", wheel, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (fingers.size === 1) dragged = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    const now = [event.offsetX, event.offsetY];
    if (!before) {
      hover(...now);
      return;
    }
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const apart = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
      zoomAt(...other, apart(now) / Math.max(1, apart(before)));
      dragged = Infinity;
    } else {
      drag(now[0] - before[0], now[1] - before[1]);
      dragged += Math.hypot(now[0] - before[0], now[1] - before[1]);
    }
    fingers.set(event.pointerId, now);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, (event) => {
      const ended = fingers.delete(event.pointerId) && kind === "pointerup" && fingers.size === 0;
      if (ended && dragged <= STILL_PX) tap(event.offsetX, event.offsetY);
    });
  }
}

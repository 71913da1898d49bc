"use strict";

// Each example: the cursor of its lanes follows the video, and a click on a lane moves the video.
for (const example of document.querySelectorAll(".example")) {
  const video = example.querySelector("video");
  if (!video) continue;
  const seconds = Number(example.dataset.seconds);
  const tracks = example.querySelectorAll(".track");
  const cursors = example.querySelectorAll(".cursor");
  const events = example.querySelectorAll(".event");
  const slider = example.querySelector("[role=slider]");

  const show = () => {
    const now = video.currentTime;
    example.classList.toggle("started", now > 0);
    const place = `${Math.min(100, (100 * now) / seconds)}%`;
    for (const cursor of cursors) {
      cursor.setAttribute("x1", place);
      cursor.setAttribute("x2", place);
    }
    for (const event of events) {
      event.classList.toggle("now", event.dataset.onset <= now && now < event.dataset.offset);
    }
    slider.setAttribute("aria-valuenow", now.toFixed(1));
  };
  const follow = () => {
    show();
    if (!video.paused) requestAnimationFrame(follow);
  };
  const seek = (time) => {
    video.currentTime = Math.max(0, Math.min(time, video.duration || seconds));
  };

  for (const track of tracks) {
    const point = (pointer) => {
      const box = track.getBoundingClientRect();
      seek(((pointer.clientX - box.left) / box.width) * seconds);
    };
    track.addEventListener("pointerdown", (pointer) => {
      if (pointer.button !== 0) return;
      track.setPointerCapture(pointer.pointerId);
      point(pointer);
    });
    track.addEventListener("pointermove", (pointer) => {
      if (track.hasPointerCapture(pointer.pointerId)) point(pointer);
    });
  }
  slider.addEventListener("keydown", (key) => {
    const to = {
      ArrowLeft: video.currentTime - 1,
      ArrowDown: video.currentTime - 1,
      ArrowRight: video.currentTime + 1,
      ArrowUp: video.currentTime + 1,
      Home: 0,
      End: seconds,
    }[key.key];
    if (to === undefined) return;
    key.preventDefault();
    seek(to);
  });

  example.classList.add("seekable");
  video.addEventListener("play", follow);
  for (const change of ["timeupdate", "seeking", "seeked", "loadedmetadata"]) video.addEventListener(change, show);
  show();
}

// A button in each proof that opens all its sentences, or folds them. Without it each still opens.
"use strict";

document.querySelectorAll("details.script > div").forEach((proof) => {
  const sentences = [...proof.querySelectorAll("details.step")];
  if (sentences.length < 2) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-sm every-goal";
  const say = () => {
    const open = sentences.every((sentence) => sentence.open);
    button.textContent = open ? "Fold every sentence" : "Open every sentence";
    return open;
  };
  button.addEventListener("click", () => {
    const open = say();
    sentences.forEach((sentence) => { sentence.open = !open; });
    say();
  });
  proof.addEventListener("toggle", say, true);
  say();
  proof.prepend(button);
});

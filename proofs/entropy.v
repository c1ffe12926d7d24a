From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common certify softmax smooth_max.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

(** A, and with eps once and twice in it B and C, as in the note. *)
Definition A n a := Sum n (fun i => a i * ln (a i)).
Definition B n e a := Sum n (fun i => a i * ln (a i + e)).
Definition C n e a := Sum n (fun i => (a i + e) * ln (a i + e)).

(** claim entropy-B-above-A. B - A is at least ln(1 + eps). *)
Theorem B_above_A n e a : Law n a -> 0 < e -> ln (1 + e) <= B n e a - A n a.
Proof.
  intros L He. pose proof L as [P E]. unfold A, B. rewrite <- Sum_minus.
  replace (ln (1 + e)) with (Sum n (fun i => a i * ln (1 + e))) by (rewrite Sum_scal_r, E; ring).
  apply Sum_le. intros i Hi. pose proof (Law_le1 n a i L Hi) as U.
  destruct (P i Hi) as [Q|Q]; [|rewrite <- Q; lra].
  assert (ln (1 + e) + ln (a i) <= ln (a i + e)) by (rewrite <- ln_mult by lra; apply ln_mono; nra).
  nra.
Qed.
(** claim entropy-B-above-A. B - A is at most ln(1 + n eps). *)
Theorem B_above_A_at_most n e a : Law n a -> 0 < e -> B n e a - A n a <= ln (1 + INR n * e).
Proof.
  intros L He. pose proof L as [P E]. unfold A, B. rewrite <- Sum_minus.
  set (c := 1 + INR n * e). assert (Hc : 0 < c) by (unfold c; pose proof (pos_INR n); nra).
  replace (ln c) with (Sum n (fun i => a i * ln c + / c * (a i + e) - a i)).
  2:{ rewrite Sum_minus, Sum_plus, Sum_scal_r, Sum_scal, Sum_plus, Sum_const, E. fold c. field. lra. }
  apply Sum_le. intros i Hi. destruct (P i Hi) as [Q|Q].
  - assert (D : 0 < (a i + e) / (a i * c)) by (apply Rdiv_lt_0_compat; nra).
    pose proof (ln_le_sub1 _ D) as G. rewrite ln_quot, ln_mult in G by nra.
    apply Rmult_le_compat_l with (r := a i) in G; [|lra].
    replace (a i * ((a i + e) / (a i * c) - 1)) with (/ c * (a i + e) - a i) in G by (field; lra). lra.
  - rewrite <- Q. assert (0 < / c) by (apply Rinv_0_lt_compat; exact Hc). nra.
Qed.
(** claim entropy-C-meaning. C is the entropy of the smoothed law (a + eps) / (1 + t), up to scale and shift,
    with t = n eps. *)
Theorem C_smoothed n e a : Law n a -> 0 < e -> let t := INR n * e in
  C n e a = - (1 + t) * Ent n (fun i => (a i + e) / (1 + t)) + (1 + t) * ln (1 + t).
Proof.
  intros [P E] He t. assert (Ht : 0 < 1 + t) by (unfold t; pose proof (pos_INR n); nra).
  unfold C, Ent. rewrite Ropp_mult_distr_l_reverse, Ropp_mult_distr_r_reverse, Ropp_involutive, <- Sum_scal.
  replace ((1 + t) * ln (1 + t)) with (Sum n (fun i => (a i + e) * ln (1 + t))).
  2:{ rewrite Sum_scal_r, Sum_plus, Sum_const, E. reflexivity. }
  rewrite <- Sum_plus. apply Sum_ext. intros i Hi. pose proof (P i Hi).
  unfold Rdiv. rewrite ln_mult, ln_Rinv; [field; lra|lra|lra|apply Rinv_0_lt_compat; exact Ht].
Qed.
Lemma CB_diff n e a : C n e a - B n e a = e * Sum n (fun i => ln (a i + e)).
Proof. unfold C, B. rewrite <- Sum_minus, <- Sum_scal. apply Sum_ext. intros. ring. Qed.
(** claim entropy-C-below-B. C - B is at most n eps ln((1 + n eps) / n). *)
Theorem C_below_B_at_least n e a : Law n a -> 0 < e -> C n e a - B n e a <= INR n * e * ln ((1 + INR n * e) / INR n).
Proof.
  intros L He. pose proof (Law_n _ _ L) as Hn. destruct L as [P E].
  assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn).
  set (c := (1 + INR n * e) / INR n). assert (Hc : 0 < c) by (apply Rdiv_lt_0_compat; nra).
  rewrite CB_diff. apply Rle_trans with (e * Sum n (fun i => ln c + (/ c * (a i + e) - 1))).
  - apply Rmult_le_compat_l; [lra|]. apply Sum_le. intros i Hi. pose proof (P i Hi).
    assert (D : 0 < (a i + e) / c) by (apply Rdiv_lt_0_compat; lra).
    pose proof (ln_le_sub1 _ D) as G. rewrite ln_quot in G by lra. unfold Rdiv in G. lra.
  - rewrite Sum_plus, Sum_minus, !Sum_const, Sum_scal, Sum_plus, Sum_const, E. right. unfold c. field. nra.
Qed.
(** claim entropy-C-below-B. C < B for every law, if eps < 1 - 1/n. *)
Theorem C_below_B n e a : Law n a -> 0 < e -> e < 1 - / INR n -> C n e a < B n e a.
Proof.
  intros L He Hb. pose proof (C_below_B_at_least n e a L He) as U. pose proof (Law_n _ _ L) as Hn.
  assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn).
  assert (X : INR n * e < INR n - 1).
  { apply Rmult_lt_compat_l with (r := INR n) in Hb; [|exact N]. replace (INR n * (1 - / INR n)) with (INR n - 1) in Hb by (field; lra). exact Hb. }
  assert (L0 : ln ((1 + INR n * e) / INR n) < 0).
  { rewrite <- ln_1. apply ln_increasing; [apply Rdiv_lt_0_compat; nra|].
    apply Rmult_lt_reg_r with (INR n); [exact N|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r, Rmult_1_l by lra. lra. }
  assert (0 < INR n * e) by nra. nra.
Qed.

(* The tangent lies above a function whose derivative does not increase. *)
Lemma tangent_above (f d : R -> R) u x :
  (forall t, 0 < t -> is_derive f t (d t)) -> (forall s t, 0 < s -> s <= t -> d t <= d s) ->
  0 < u -> 0 < x -> f x <= f u + d u * (x - u).
Proof.
  intros F D Hu Hx.
  destruct (MVT_gen f u x d) as [c [[Hc1 Hc2] Ec]].
  - intros t [Ht _]. apply F. apply Rlt_trans with (Rmin u x); [apply Rmin_glb_lt; assumption|exact Ht].
  - intros t [Ht _]. apply continuity_pt_filterlim. apply (ex_derive_continuous f). exists (d t). apply F.
    apply Rlt_le_trans with (Rmin u x); [apply Rmin_glb_lt; assumption|exact Ht].
  - assert (Hc : 0 < c) by (apply Rlt_le_trans with (Rmin u x); [apply Rmin_glb_lt; assumption|exact Hc1]).
    destruct (Rle_dec u x) as [L|L].
    + rewrite Rmin_left in Hc1 by exact L. pose proof (D u c Hu Hc1). nra.
    + rewrite Rmax_left in Hc2 by lra. pose proof (D c u Hc Hc2). nra.
Qed.
Lemma decreasing_of_derive (f d : R -> R) a b :
  (forall t, a <= t -> is_derive f t (d t)) -> (forall t, a <= t -> d t <= 0) -> a <= b -> f b <= f a.
Proof.
  intros F D Hab. destruct (MVT_gen f a b d) as [c [[Hc _] Ec]].
  - intros t [Ht _]. apply F. rewrite Rmin_left in Ht by exact Hab. lra.
  - intros t [Ht _]. apply continuity_pt_filterlim, (ex_derive_continuous f). exists (d t). apply F.
    rewrite Rmin_left in Ht by exact Hab. lra.
  - rewrite Rmin_left in Hc by exact Hab. pose proof (D c Hc). nra.
Qed.

(** phi, on which it depends which of the two is closer. *)
Definition phi x := (2 + x) * ln (1 + x) / x.
(** The summand of B + C - 2A. *)
Definition h e x := (2 * x + e) * ln (x + e) - 2 * (x * ln x).
Lemma BC2A n e a : B n e a + C n e a - 2 * A n a = Sum n (fun i => h e (a i)).
Proof. unfold A, B, C, h. rewrite <- Sum_plus, <- Sum_scal, <- Sum_minus. apply Sum_ext. intros. ring. Qed.
Lemma h_derive e x : 0 < e -> 0 < x -> is_derive (h e) x (2 * ln (1 + e / x) - e / (x + e)).
Proof.
  intros He Hx. unfold h.
  replace (1 + e / x) with ((x + e) * / x) by (field; lra).
  rewrite ln_mult, ln_Rinv by (try apply Rinv_0_lt_compat; lra).
  auto_derive; [repeat split; lra|field; lra].
Qed.
Lemma h_slope e s t : 0 < e -> 0 < s -> s <= t ->
  2 * ln (1 + e / t) - e / (t + e) <= 2 * ln (1 + e / s) - e / (s + e).
Proof.
  intros He Hs Hst.
  apply (decreasing_of_derive (fun x => 2 * ln (1 + e / x) - e / (x + e)) (fun x => - (e * (x + 2 * e)) / (x * (x + e) ^ 2))); [| |exact Hst].
  - intros x Hx. assert (0 < e / x) by (apply Rdiv_lt_0_compat; lra).
    auto_derive; [repeat split; lra|field; repeat split; lra].
  - intros x Hx. unfold Rdiv. rewrite Ropp_mult_distr_l_reverse.
    assert (0 <= e * (x + 2 * e) * / (x * (x + e) ^ 2)); [|lra].
    apply Rmult_le_pos; [nra|]. apply Rlt_le, Rinv_0_lt_compat. apply Rmult_lt_0_compat; [lra|]. apply pow_lt. lra.
Qed.
Lemma h_tangent e u x : 0 < e -> 0 < u -> 0 <= x ->
  h e x <= h e u + (2 * ln (1 + e / u) - e / (u + e)) * (x - u).
Proof.
  intros He Hu [Hx|Hx].
  - apply (tangent_above (h e) (fun t => 2 * ln (1 + e / t) - e / (t + e))); try assumption.
    + intros t Ht. apply h_derive; assumption.
    + intros s t Hs Hst. apply h_slope; assumption.
  - subst x. unfold h.
    replace (1 + e / u) with ((u + e) * / u) by (field; lra).
    rewrite ln_mult, ln_Rinv by (try apply Rinv_0_lt_compat; lra).
    assert (ln e <= ln (u + e)) by (apply ln_mono; lra).
    assert (0 <= e / (u + e) * u) by (apply Rmult_le_pos; [apply Rlt_le, Rdiv_lt_0_compat; lra|lra]).
    rewrite Rplus_0_l. nra.
Qed.
Lemma h_uniform n e : (0 < n)%nat -> 0 < e -> INR n * h e (/ INR n) = INR n * e * (phi (INR n * e) - ln (INR n)).
Proof.
  intros Hn He. assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn).
  unfold h, phi. replace (/ INR n + e) with ((1 + INR n * e) * / INR n) by (field; lra).
  assert (0 < / INR n) by (apply Rinv_0_lt_compat; lra).
  rewrite ln_mult, ln_Rinv by nra. field. lra.
Qed.
(** claim entropy-C-closer. B + C - 2A is at most n eps (phi(n eps) - ln n). *)
Theorem closer_criterion n e a : Law n a -> 0 < e ->
  B n e a + C n e a - 2 * A n a <= INR n * e * (phi (INR n * e) - ln (INR n)).
Proof.
  intros L He. pose proof (Law_n _ _ L) as Hn. destruct L as [P E].
  assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn).
  rewrite BC2A, <- h_uniform by assumption. set (u := / INR n). set (s := 2 * ln (1 + e / u) - e / (u + e)).
  apply Rle_trans with (Sum n (fun i => h e u + s * (a i - u))).
  - apply Sum_le. intros i Hi. apply h_tangent; [exact He|apply Rinv_0_lt_compat; exact N|apply P, Hi].
  - rewrite Sum_plus, Sum_const, Sum_scal, Sum_minus, Sum_const, E. right. unfold u. field. lra.
Qed.
(** claim entropy-C-closer. If phi(n eps) <= ln n, then B is at least as close to A as C is, for every law. *)
Theorem B_closer n e a : Law n a -> 0 < e -> e < 1 - / INR n -> phi (INR n * e) <= ln (INR n) ->
  Rabs (B n e a - A n a) <= Rabs (C n e a - A n a).
Proof.
  intros L He Hb Hp. pose proof (closer_criterion n e a L He) as U. pose proof (C_below_B n e a L He Hb) as V.
  pose proof (B_above_A n e a L He) as W. pose proof (Law_n _ _ L) as Hn.
  assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn).
  assert (0 < ln (1 + e)) by (rewrite <- ln_1; apply ln_increasing; lra).
  assert (B n e a + C n e a - 2 * A n a <= 0) by (assert (0 < INR n * e) by nra; nra).
  rewrite (Rabs_right (B n e a - A n a)) by lra. rewrite (Rabs_left (C n e a - A n a)) by lra. lra.
Qed.
Lemma uniform_law n : (0 < n)%nat -> Law n (fun _ => / INR n).
Proof.
  intro Hn. assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn). split.
  - intros. apply Rlt_le, Rinv_0_lt_compat, N.
  - rewrite Sum_const. field. lra.
Qed.
(** claim entropy-C-closer. Otherwise C is closer at the uniform law. *)
Theorem C_closer_uniform n e : (0 < n)%nat -> 0 < e -> e < 1 - / INR n -> ln (INR n) < phi (INR n * e) ->
  let a := fun _ => / INR n in Rabs (C n e a - A n a) < Rabs (B n e a - A n a).
Proof.
  intros Hn He Hb Hp a. pose proof (uniform_law n Hn) as L. fold a in L.
  assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn).
  pose proof (C_below_B n e a L He Hb) as V. pose proof (B_above_A n e a L He) as W.
  assert (0 < ln (1 + e)) by (rewrite <- ln_1; apply ln_increasing; lra).
  assert (0 < B n e a + C n e a - 2 * A n a).
  { rewrite BC2A. unfold a. rewrite Sum_const, h_uniform by assumption. assert (0 < INR n * e) by nra. nra. }
  rewrite (Rabs_right (B n e a - A n a)) by lra. apply Rabs_def1; lra.
Qed.

(* phi increases. *)
Lemma increasing_of_derive (f d : R -> R) a b :
  (forall t, a <= t -> is_derive f t (d t)) -> (forall t, a <= t -> 0 <= d t) -> a <= b -> f a <= f b.
Proof.
  intros F D Hab. destruct (MVT_gen f a b d) as [c [[Hc _] Ec]].
  - intros t [Ht _]. apply F. rewrite Rmin_left in Ht by exact Hab. lra.
  - intros t [Ht _]. apply continuity_pt_filterlim, (ex_derive_continuous f). exists (d t). apply F.
    rewrite Rmin_left in Ht by exact Hab. lra.
  - rewrite Rmin_left in Hc by exact Hab. pose proof (D c Hc). nra.
Qed.
Lemma aux1 x : 0 <= x -> 2 * ln (1 + x) <= 1 + x - / (1 + x).
Proof.
  intro Hx.
  pose proof (increasing_of_derive (fun t => 1 + t - / (1 + t) - 2 * ln (1 + t)) (fun t => t ^ 2 / (1 + t) ^ 2) 0 x) as Q.
  cbv beta in Q. rewrite Rplus_0_r, ln_1, Rinv_1 in Q.
  assert (0 <= 1 + x - / (1 + x) - 2 * ln (1 + x)); [|lra].
  replace 0 with (1 - 1 - 2 * 0) at 1 by ring. apply Q; [| |exact Hx].
  - intros t Ht. auto_derive; [repeat split; lra|field; lra].
  - intros t Ht. apply Rmult_le_pos; [apply pow2_ge_0|]. apply Rlt_le, Rinv_0_lt_compat, pow_lt. lra.
Qed.
Lemma phi_derive x : 0 < x -> is_derive phi x ((1 + x - / (1 + x) - 2 * ln (1 + x)) / x ^ 2).
Proof. intro. unfold phi. auto_derive; [repeat split; lra|field; lra]. Qed.
Lemma phi_mono x y : 0 < x -> x <= y -> phi x <= phi y.
Proof.
  intros Hx Hy. apply (increasing_of_derive phi (fun t => (1 + t - / (1 + t) - 2 * ln (1 + t)) / t ^ 2)); [| |exact Hy].
  - intros t Ht. apply phi_derive. lra.
  - intros t Ht. pose proof (aux1 t). apply Rmult_le_pos; [lra|]. apply Rlt_le, Rinv_0_lt_compat, pow_lt. lra.
Qed.
Lemma phi_minus_ln x y : 0 < x -> x <= y -> phi y - ln y <= phi x - ln x.
Proof.
  intros Hx Hy. apply (decreasing_of_derive (fun t => phi t - ln t) (fun t => (1 + t - / (1 + t) - 2 * ln (1 + t)) / t ^ 2 - / t)); [| |exact Hy].
  - intros t Ht. apply (is_derive_minus (V := R_NormedModule) phi ln); [apply phi_derive; lra|]. auto_derive; [lra|field; lra].
  - intros t Ht. 
    replace ((1 + t - / (1 + t) - 2 * ln (1 + t)) / t ^ 2 - / t) with ((1 - / (1 + t) - 2 * ln (1 + t)) * / t ^ 2) by (field; lra).
    assert (0 < / t ^ 2) by (apply Rinv_0_lt_compat, pow_lt; lra).
    assert (D : 0 < 1 + t) by lra. pose proof (ln_ge_1sub _ D).
    assert (0 <= ln (1 + t)) by (rewrite <- ln_1; apply ln_mono; lra). nra.
Qed.
Lemma phi_1 : phi 1 = ln 8.
Proof. unfold phi. replace 8 with (2 * (2 * 2)) by ring. rewrite !ln_mult by lra. replace (1 + 1) with 2 by ring. field. Qed.
Lemma phi_le_ln n e : (8 <= n)%nat -> 0 < e -> e <= / 8 -> phi (INR n * e) <= ln (INR n).
Proof.
  intros Hn He Hb. apply le_INR in Hn. replace (INR 8) with 8 in Hn by (simpl; ring).
  apply Rle_trans with (phi (INR n * / 8)); [apply phi_mono; nra|].
  pose proof (phi_minus_ln 1 (INR n * / 8)) as Q. rewrite phi_1, ln_1, ln_mult, ln_Rinv in Q by lra. lra.
Qed.
(** claim entropy-C-closer. So B is at least as close for all n >= 8 and eps <= 1/8. *)
Theorem B_closer_8 n e a : (8 <= n)%nat -> 0 < e -> e <= / 8 -> Law n a ->
  Rabs (B n e a - A n a) <= Rabs (C n e a - A n a).
Proof.
  intros Hn He Hb L. apply B_closer; try assumption; [|apply phi_le_ln; assumption].
  apply le_INR in Hn. replace (INR 8) with 8 in Hn by (simpl; ring).
  assert (/ INR n <= / 8) by (apply Rinv_le_contravar; lra). lra.
Qed.
(** claim entropy-C-closer. At n = 8, eps = 1/8 and the uniform law the two are equally close: B + C = 2A. *)
Theorem B_C_tie_8 : let a := fun _ => / INR 8 in B 8 (/8) a + C 8 (/8) a - 2 * A 8 a = 0.
Proof.
  intro a. rewrite BC2A. unfold a. rewrite Sum_const, h_uniform by (lra || lia).
  replace (INR 8) with 8 by (simpl; ring). replace (8 * / 8) with 1 by field. rewrite phi_1. ring.
Qed.

Lemma ln_chord e x : 0 < e -> 0 <= x <= 1 -> (1 - x) * ln e + x * ln (1 + e) <= ln (x + e).
Proof.
  intros He Hx. pose proof (ln_le_sub1 (e / (x + e)) ltac:(apply Rdiv_lt_0_compat; lra)) as L0.
  pose proof (ln_le_sub1 ((1 + e) / (x + e)) ltac:(apply Rdiv_lt_0_compat; lra)) as L1.
  rewrite ln_quot in L0, L1 by lra.
  apply Rmult_le_compat_l with (r := 1 - x) in L0; [|lra]. apply Rmult_le_compat_l with (r := x) in L1; [|lra].
  assert (Z : (1 - x) * (e / (x + e) - 1) + x * ((1 + e) / (x + e) - 1) = 0) by (field; lra). lra.
Qed.
(** claim entropy-C-below-B. C - B is at least eps ln(1 + eps) + (n - 1) eps ln eps. *)
Theorem C_below_B_at_most n e a : Law n a -> 0 < e ->
  e * ln (1 + e) + (INR n - 1) * e * ln e <= C n e a - B n e a.
Proof.
  intros L He. rewrite CB_diff.
  apply Rle_trans with (e * Sum n (fun i => ln e + a i * (ln (1 + e) - ln e))).
  - rewrite Sum_plus, Sum_const, Sum_scal_r. destruct L as [_ E]. rewrite E. right. ring.
  - apply Rmult_le_compat_l; [lra|]. apply Sum_le. intros i Hi.
    pose proof (Law_le1 n a i L Hi). destruct L as [P _]. pose proof (P i Hi).
    pose proof (ln_chord e (a i) He ltac:(lra)). lra.
Qed.
(** claim entropy-C-below-B. At the uniform law the upper bound is attained. *)
Theorem C_below_B_uniform n e : (0 < n)%nat -> 0 < e -> let a := fun _ => / INR n in
  C n e a - B n e a = INR n * e * ln ((1 + INR n * e) / INR n).
Proof.
  intros Hn He a. assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn).
  rewrite CB_diff. unfold a. rewrite Sum_const. replace (/ INR n + e) with ((1 + INR n * e) / INR n) by (field; lra). ring.
Qed.
(** claim entropy-C-below-B. C < B for every law if and only if eps < 1 - 1/n. *)
Theorem C_below_B_iff n e : (0 < n)%nat -> 0 < e ->
  (forall a, Law n a -> C n e a < B n e a) <-> e < 1 - / INR n.
Proof.
  intros Hn He. split; [|intros; apply C_below_B; assumption].
  intro H. pose proof (H _ (uniform_law n Hn)) as U. pose proof (C_below_B_uniform n e Hn He) as Q. cbv zeta in Q.
  assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn).
  destruct (Rlt_le_dec e (1 - / INR n)) as [|G]; [assumption|exfalso].
  apply Rmult_le_compat_l with (r := INR n) in G; [|lra].
  replace (INR n * (1 - / INR n)) with (INR n - 1) in G by (field; lra).
  assert (0 <= ln ((1 + INR n * e) / INR n)).
  { rewrite <- ln_1. apply ln_mono; [lra|]. apply Rmult_le_reg_r with (INR n); [exact N|].
    unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. lra. }
  assert (0 <= INR n * e * ln ((1 + INR n * e) / INR n)) by (apply Rmult_le_pos; nra). lra.
Qed.
(** claim entropy-C-meaning. B is ln(1 + t) minus a cross-entropy of a against the smoothed law. *)
Theorem B_smoothed n e a : Law n a -> 0 < e -> let t := INR n * e in
  B n e a = ln (1 + t) - - Sum n (fun i => a i * ln ((a i + e) / (1 + t))).
Proof.
  intros [P E] He t. assert (Ht : 0 < 1 + t) by (unfold t; pose proof (pos_INR n); nra).
  unfold B. transitivity (Sum n (fun i => a i * ln (1 + t) + a i * ln ((a i + e) / (1 + t)))).
  - apply Sum_ext. intros i Hi. pose proof (P i Hi). rewrite ln_quot by lra. ring.
  - rewrite Sum_plus, Sum_scal_r, E. ring.
Qed.
(** claim entropy-C-closer. C is closer than B if and only if B + C > 2A. *)
Theorem closer_iff n e a : Law n a -> 0 < e -> e < 1 - / INR n ->
  Rabs (C n e a - A n a) < Rabs (B n e a - A n a) <-> 2 * A n a < B n e a + C n e a.
Proof.
  intros L He Hb. pose proof (C_below_B n e a L He Hb). pose proof (B_above_A n e a L He).
  assert (0 < ln (1 + e)) by (rewrite <- ln_1; apply ln_increasing; lra).
  rewrite (Rabs_right (B n e a - A n a)) by lra. split; intro Q.
  - apply Rabs_def2 in Q. lra.
  - apply Rabs_def1; lra.
Qed.
(** claim entropy-C-closer. B is at least as close for every law if and only if phi(n eps) <= ln n. *)
Theorem B_closer_iff n e : (0 < n)%nat -> 0 < e -> e < 1 - / INR n ->
  (forall a, Law n a -> Rabs (B n e a - A n a) <= Rabs (C n e a - A n a)) <-> phi (INR n * e) <= ln (INR n).
Proof.
  intros Hn He Hb. split; [|intros; apply B_closer; assumption]. intro H.
  destruct (Rle_lt_dec (phi (INR n * e)) (ln (INR n))) as [|G]; [assumption|exfalso].
  pose proof (C_closer_uniform n e Hn He Hb G) as Q. cbv zeta in Q.
  pose proof (H _ (uniform_law n Hn)). lra.
Qed.
(** claim entropy-C-closer. From n = 16 on this covers all eps < 1/2. *)
Theorem B_closer_16 n e a : (16 <= n)%nat -> 0 < e -> e < / 2 -> Law n a ->
  Rabs (B n e a - A n a) <= Rabs (C n e a - A n a).
Proof.
  intros Hn He Hb L. apply le_INR in Hn. replace (INR 16) with 16 in Hn by (simpl; ring).
  assert (/ INR n <= / 16) by (apply Rinv_le_contravar; lra).
  apply B_closer; try assumption; [lra|].
  apply Rle_trans with (phi (INR n * / 2)); [apply phi_mono; nra|].
  pose proof (phi_minus_ln 8 (INR n * / 2) ltac:(lra) ltac:(lra)) as Q.
  assert (P : phi 8 - ln 8 <= ln 2) by (unfold phi; interval with (i_prec 60)).
  rewrite ln_mult, ln_Rinv in Q by lra. lra.
Qed.
Lemma phi_ge2 x : 0 < x -> 2 <= phi x.
Proof.
  intro Hx. assert (Q : 0 <= (2 + x) * ln (1 + x) - 2 * x).
  { replace 0 with ((2 + 0) * ln (1 + 0) - 2 * 0) by (rewrite !Rplus_0_r, ln_1; ring).
    apply (increasing_of_derive (fun t => (2 + t) * ln (1 + t) - 2 * t) (fun t => ln (1 + t) - (1 - / (1 + t)))); [| |lra].
    - intros t Ht. auto_derive; [lra|field; lra].
    - intros t Ht. pose proof (ln_ge_1sub (1 + t) ltac:(lra)). lra. }
  unfold phi. apply Rmult_le_reg_r with x; [exact Hx|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. lra.
Qed.
(** claim entropy-C-closer. Up to n = 7 the uniform law has C closer, for every eps < 1 - 1/n. *)
Theorem C_closer_7 n e : (0 < n <= 7)%nat -> 0 < e -> e < 1 - / INR n ->
  let a := fun _ => / INR n in Rabs (C n e a - A n a) < Rabs (B n e a - A n a).
Proof.
  intros [Hn H7] He Hb. apply C_closer_uniform; try assumption.
  assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn).
  apply le_INR in H7. replace (INR 7) with 7 in H7 by (simpl; ring).
  apply Rle_lt_trans with (ln 7); [apply ln_mono; assumption|].
  apply Rlt_le_trans with 2; [interval with (i_prec 60)|]. apply phi_ge2. nra.
Qed.
Lemma aux1_strict x : 0 < x -> 2 * ln (1 + x) < 1 + x - / (1 + x).
Proof.
  intro Hx. pose proof (aux1 (x / 2) ltac:(lra)) as Q.
  destruct (MVT_gen (fun t => 1 + t - / (1 + t) - 2 * ln (1 + t)) (x / 2) x (fun t => t ^ 2 / (1 + t) ^ 2)) as [c [[Hc _] E]].
  - intros t [Ht _]. rewrite Rmin_left in Ht by lra. auto_derive; [repeat split; lra|field; lra].
  - intros t [Ht _]. rewrite Rmin_left in Ht by lra. apply continuity_pt_filterlim.
    apply (ex_derive_continuous (fun t => 1 + t - / (1 + t) - 2 * ln (1 + t))). auto_derive. repeat split; lra.
  - rewrite Rmin_left in Hc by lra.
    assert (0 < c ^ 2 / (1 + c) ^ 2) by (apply Rdiv_lt_0_compat; apply pow_lt; lra).
    assert (0 < c ^ 2 / (1 + c) ^ 2 * (x - x / 2)) by (apply Rmult_lt_0_compat; lra). lra.
Qed.
Lemma phi_above_1 x : 1 < x -> ln 8 < phi x.
Proof.
  intro Hx. rewrite <- phi_1.
  destruct (MVT_gen phi 1 x (fun t => (1 + t - / (1 + t) - 2 * ln (1 + t)) / t ^ 2)) as [c [[Hc _] E]].
  - intros t [Ht _]. rewrite Rmin_left in Ht by lra. apply phi_derive. lra.
  - intros t [Ht _]. rewrite Rmin_left in Ht by lra. apply continuity_pt_filterlim, (ex_derive_continuous phi).
    eexists. apply phi_derive. lra.
  - rewrite Rmin_left in Hc by lra. pose proof (aux1_strict c ltac:(lra)).
    assert (0 < (1 + c - / (1 + c) - 2 * ln (1 + c)) / c ^ 2 * (x - 1)); [|lra].
    apply Rmult_lt_0_compat; [|lra]. apply Rdiv_lt_0_compat; [lra|]. apply pow_lt. lra.
Qed.
(** claim entropy-C-closer. At n = 8 no eps above 1/8 serves for every law. *)
Theorem no_larger_eps_8 e : / 8 < e -> e < 1 - / 8 ->
  ~ forall a, Law 8 a -> Rabs (B 8 e a - A 8 a) <= Rabs (C 8 e a - A 8 a).
Proof.
  intros He Hb H. replace 8 with (INR 8) in Hb by (simpl; ring).
  apply B_closer_iff in H; [|lia|lra|exact Hb]. replace (INR 8) with 8 in H by (simpl; ring).
  pose proof (phi_above_1 (8 * e) ltac:(lra)). lra.
Qed.
(** The one-hot law. *)
Definition hot (k i : nat) : R := if Nat.eqb i k then 1 else 0.
Lemma hot_law n k : (k < n)%nat -> Law n (hot k).
Proof.
  intro Hk. split; [intros i _; unfold hot; destruct (Nat.eqb i k); lra|].
  exact (Sum_delta n k (fun _ => 1) Hk).
Qed.
Lemma Sum_hot n k (f : R -> R) : (k < n)%nat -> Sum n (fun i => f (hot k i)) = f 1 + (INR n - 1) * f 0.
Proof.
  intro Hk. rewrite (Sum_ext n _ (fun i => f 0 + (if Nat.eqb i k then f 1 - f 0 else 0))).
  - rewrite Sum_plus, Sum_const, (Sum_delta n k (fun _ => f 1 - f 0) Hk). ring.
  - intros i _. unfold hot. destruct (Nat.eqb i k); ring.
Qed.
(** claim entropy-B-above-A. At one-hot laws the lower bound is attained. *)
Theorem B_above_A_hot n e k : (k < n)%nat -> B n e (hot k) - A n (hot k) = ln (1 + e).
Proof.
  intro Hk. unfold A, B. rewrite (Sum_hot n k (fun x => x * ln (x + e)) Hk), (Sum_hot n k (fun x => x * ln x) Hk), ln_1. ring.
Qed.
(** claim entropy-B-above-A. At the uniform law the upper bound is attained. *)
Theorem B_above_A_uniform n e : (0 < n)%nat -> 0 < e -> let a := fun _ => / INR n in
  B n e a - A n a = ln (1 + INR n * e).
Proof.
  intros Hn He a. assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn). unfold A, B, a. rewrite !Sum_const.
  replace (/ INR n + e) with ((1 + INR n * e) * / INR n) by (field; lra).
  assert (0 < / INR n) by (apply Rinv_0_lt_compat; lra). rewrite ln_mult, ln_Rinv by nra. field. lra.
Qed.
(** claim entropy-C-below-B. At one-hot laws the lower bound is attained. *)
Theorem C_below_B_hot n e k : (k < n)%nat ->
  C n e (hot k) - B n e (hot k) = e * ln (1 + e) + (INR n - 1) * e * ln e.
Proof. intro Hk. rewrite CB_diff, (Sum_hot n k (fun x => ln (x + e)) Hk), Rplus_0_l. ring. Qed.
(** claim entropy-C-closer. For n >= 2 and eps <= 1/8 one-hot laws have B closer. *)
Theorem B_closer_hot n e k : (2 <= n)%nat -> (k < n)%nat -> 0 < e -> e <= / 8 ->
  Rabs (B n e (hot k) - A n (hot k)) < Rabs (C n e (hot k) - A n (hot k)).
Proof.
  intros Hn Hk He Hb. apply le_INR in Hn. replace (INR 2) with 2 in Hn by (simpl; ring).
  assert (A0 : A n (hot k) = 0) by (unfold A; rewrite (Sum_hot n k (fun x => x * ln x) Hk), ln_1; ring).
  pose proof (B_above_A_hot n e k Hk) as EB. rewrite A0 in *.
  assert (EC : C n e (hot k) = (1 + e) * ln (1 + e) + (INR n - 1) * (e * ln e)).
  { unfold C. rewrite (Sum_hot n k (fun x => (x + e) * ln (x + e)) Hk), Rplus_0_l. reflexivity. }
  assert (P : phi e < - ln e).
  { apply Rle_lt_trans with (phi (/ 8)); [apply phi_mono; assumption|].
    apply Rlt_le_trans with (- ln (/ 8)); [unfold phi; interval with (i_prec 60)|].
    apply Ropp_le_contravar, ln_mono; assumption. }
  assert (F : (2 + e) * ln (1 + e) = e * phi e) by (unfold phi; field; lra).
  assert (0 < ln (1 + e)) by (rewrite <- ln_1; apply ln_increasing; lra).
  assert (ln e < 0) by (rewrite <- ln_1; apply ln_increasing; lra).
  assert (e * phi e < e * - ln e) by (apply Rmult_lt_compat_l; assumption).
  assert (e * ln e < 0) by nra. assert ((INR n - 1) * (e * ln e) <= e * ln e) by nra.
  rewrite !Rminus_0_r in *. rewrite (Rabs_right (B n e (hot k))) by lra. rewrite Rabs_left by lra. lra.
Qed.
(** claim entropy-C-closer. The step of the note, opposite signs and hence closer, refuted by an instance:
    two entries, one-hot, eps = 1/8. *)
Theorem opposite_signs : let a := hot 0 in
  C 2 (/ 8) a - B 2 (/ 8) a < 0 < B 2 (/ 8) a - A 2 a /\ Rabs (B 2 (/ 8) a - A 2 a) < Rabs (C 2 (/ 8) a - A 2 a).
Proof.
  intro a. assert (L : Law 2 a) by (apply hot_law; lia).
  pose proof (C_below_B 2 (/ 8) a L ltac:(lra) ltac:(simpl; lra)). unfold a in *.
  rewrite B_above_A_hot by lia. assert (0 < ln (1 + / 8)) by (rewrite <- ln_1; apply ln_increasing; lra).
  repeat split; try lra. rewrite <- (B_above_A_hot 2 (/ 8) 0) by lia. apply B_closer_hot; lia || lra.
Qed.

(* Where the bounds are attained. *)
Lemma hot_or_between n a : Law n a ->
  (exists k, (k < n)%nat /\ forall i, (i < n)%nat -> a i = hot k i) \/ (exists k, (k < n)%nat /\ 0 < a k < 1).
Proof.
  intro L. pose proof L as [P E].
  assert (X : exists k, (k < n)%nat /\ 0 < a k).
  { clear L. assert (S0 : 0 < Sum n a) by lra. clear E. revert P S0. induction n; simpl; intros P S0; [lra|].
    destruct (Rlt_le_dec 0 (a n)) as [Q|Q]; [exists n; split; [lia|exact Q]|].
    destruct IHn as [k [Hk K]]; [intros; apply P; lia|lra|]. exists k. split; [lia|exact K]. }
  destruct X as [k [Hk K]]. destruct (Rlt_le_dec (a k) 1) as [Q|Q]; [right; exists k; auto|left].
  exists k. split; [exact Hk|]. pose proof (Law_le1 n a k L Hk) as U. intros i Hi. unfold hot.
  destruct (Nat.eqb_spec i k) as [->|N]; [lra|]. apply Rle_antisym; [|apply P, Hi].
  assert (T : Sum n (fun j => if Nat.eqb j k then a k else if Nat.eqb j i then a i else 0) <= Sum n a).
  { apply Sum_le. intros j Hj. destruct (Nat.eqb_spec j k); [subst; lra|]. destruct (Nat.eqb_spec j i); [subst; lra|apply P, Hj]. }
  rewrite (Sum_ext n _ (fun j => (if Nat.eqb j k then (fun _ => a k) j else 0) + (if Nat.eqb j i then (fun _ => a i) j else 0))) in T.
  - rewrite Sum_plus, !Sum_delta in T by assumption. lra.
  - intros j _. destruct (Nat.eqb_spec j k), (Nat.eqb_spec j i); subst; try ring. contradiction.
Qed.
Lemma Sum_change n f g : (forall i, (i < n)%nat -> f i <= g i) -> Sum n f = Sum n g ->
  forall i, (i < n)%nat -> f i = g i.
Proof.
  intros H E i Hi. destruct (Req_dec (f i) (g i)) as [|N]; [assumption|exfalso].
  pose proof (H i Hi). pose proof (Sum_lt n f g i Hi H ltac:(lra)). lra.
Qed.
(** claim entropy-B-above-A. The lower bound is attained by one-hot laws only. *)
Theorem B_above_A_only_hot n e a : Law n a -> 0 < e -> B n e a - A n a = ln (1 + e) ->
  exists k, (k < n)%nat /\ forall i, (i < n)%nat -> a i = hot k i.
Proof.
  intros L He Eq. destruct (hot_or_between n a L) as [H|[k [Hk K]]]; [exact H|exfalso].
  pose proof L as [P E]. unfold A, B in Eq. rewrite <- Sum_minus in Eq.
  assert (X : Sum n (fun i => a i * ln (1 + e)) < Sum n (fun i => a i * ln (a i + e) - a i * ln (a i))).
  { apply (Sum_lt n _ _ k Hk).
    - intros i Hi. pose proof (Law_le1 n a i L Hi). destruct (P i Hi) as [Q|Q]; [|rewrite <- Q; lra].
      assert (ln (1 + e) + ln (a i) <= ln (a i + e)) by (rewrite <- ln_mult by lra; apply ln_mono; nra). nra.
    - assert (ln (1 + e) + ln (a k) < ln (a k + e)) by (rewrite <- ln_mult by lra; apply ln_increasing; nra). nra. }
  rewrite Sum_scal_r, E in X. lra.
Qed.
(** claim entropy-B-above-A. The upper bound is attained by the uniform law only. *)
Theorem B_above_A_only_uniform n e a : Law n a -> 0 < e -> B n e a - A n a = ln (1 + INR n * e) ->
  forall i, (i < n)%nat -> a i = / INR n.
Proof.
  intros L He Eq. pose proof (Law_n _ _ L) as Hn. pose proof L as [P E]. unfold A, B in Eq. rewrite <- Sum_minus in Eq.
  assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn).
  set (c := 1 + INR n * e) in *. assert (Hc : 1 < c) by (unfold c; nra).
  assert (U : ln c = Sum n (fun i => a i * ln c + / c * (a i + e) - a i)).
  { rewrite Sum_minus, Sum_plus, Sum_scal_r, Sum_scal, Sum_plus, Sum_const, E. fold c. field. lra. }
  rewrite U in Eq. intros i Hi. assert (0 < / c) by (apply Rinv_0_lt_compat; lra).
  assert (T : a i * ln (a i + e) - a i * ln (a i) = a i * ln c + / c * (a i + e) - a i).
  { apply (Sum_change n (fun i => a i * ln (a i + e) - a i * ln (a i)) (fun i => a i * ln c + / c * (a i + e) - a i)); [|exact Eq|exact Hi].
    intros j Hj. destruct (P j Hj) as [Q|Q]; [|rewrite <- Q; nra].
    assert (D : 0 < (a j + e) / (a j * c)) by (apply Rdiv_lt_0_compat; nra).
    pose proof (ln_le_sub1 _ D) as G. rewrite ln_quot, ln_mult in G by nra.
    apply Rmult_le_compat_l with (r := a j) in G; [|lra].
    replace (a j * ((a j + e) / (a j * c) - 1)) with (/ c * (a j + e) - a j) in G by (field; lra). lra. }
  destruct (P i Hi) as [Q|Q]; [|rewrite <- Q in T; assert (0 < / c * e) by nra; lra].
  destruct (Req_dec (a i) (/ INR n)) as [|W]; [assumption|exfalso].
  assert (D : 0 < (a i + e) / (a i * c)) by (apply Rdiv_lt_0_compat; nra).
  assert (D1 : (a i + e) / (a i * c) <> 1).
  { intro F. apply W. apply Rmult_eq_compat_r with (r := a i * c) in F. unfold Rdiv in F.
    rewrite Rmult_assoc, Rinv_l, Rmult_1_r, Rmult_1_l in F by nra. unfold c in F.
    apply Rmult_eq_reg_r with (INR n * e); [|nra]. field_simplify; lra. }
  pose proof (ln_lt_sub1 _ D D1) as G. rewrite ln_quot, ln_mult in G by nra.
  apply Rmult_lt_compat_l with (r := a i) in G; [|lra].
  replace (a i * ((a i + e) / (a i * c) - 1)) with (/ c * (a i + e) - a i) in G by (field; lra). lra.
Qed.
(** claim entropy-C-below-B. The lower bound is attained by one-hot laws only. *)
Theorem C_below_B_only_hot n e a : Law n a -> 0 < e ->
  C n e a - B n e a = e * ln (1 + e) + (INR n - 1) * e * ln e ->
  exists k, (k < n)%nat /\ forall i, (i < n)%nat -> a i = hot k i.
Proof.
  intros L He Eq. destruct (hot_or_between n a L) as [H|[k [Hk K]]]; [exact H|exfalso].
  pose proof L as [P E]. rewrite CB_diff in Eq.
  assert (X : Sum n (fun i => ln e + a i * (ln (1 + e) - ln e)) < Sum n (fun i => ln (a i + e))).
  { apply (Sum_lt n _ _ k Hk).
    - intros i Hi. pose proof (Law_le1 n a i L Hi). pose proof (P i Hi). pose proof (ln_chord e (a i) He ltac:(lra)). lra.
    - assert (N : (1 + e) / (a k + e) <> 1).
      { intro F. apply Rmult_eq_compat_r with (r := a k + e) in F. unfold Rdiv in F.
        rewrite Rmult_assoc, Rinv_l in F by lra. lra. }
      pose proof (ln_le_sub1 (e / (a k + e)) ltac:(apply Rdiv_lt_0_compat; lra)) as L0.
      pose proof (ln_lt_sub1 ((1 + e) / (a k + e)) ltac:(apply Rdiv_lt_0_compat; lra) N) as L1.
      rewrite ln_quot in L0, L1 by lra.
      apply Rmult_le_compat_l with (r := 1 - a k) in L0; [|lra]. apply Rmult_lt_compat_l with (r := a k) in L1; [|lra].
      assert (Z : (1 - a k) * (e / (a k + e) - 1) + a k * ((1 + e) / (a k + e) - 1) = 0) by (field; lra). lra. }
  rewrite Sum_plus, Sum_const, Sum_scal_r, E in X. apply Rmult_lt_compat_l with (r := e) in X; lra.
Qed.
(** claim entropy-C-below-B. The upper bound is attained by the uniform law only. *)
Theorem C_below_B_only_uniform n e a : Law n a -> 0 < e ->
  C n e a - B n e a = INR n * e * ln ((1 + INR n * e) / INR n) -> forall i, (i < n)%nat -> a i = / INR n.
Proof.
  intros L He Eq i Hi. pose proof (Law_n _ _ L) as Hn. destruct L as [P E].
  assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn).
  set (c := (1 + INR n * e) / INR n) in *. assert (Hc : 0 < c) by (apply Rdiv_lt_0_compat; nra).
  assert (Ec : c = / INR n + e) by (unfold c; field; lra).
  assert (U : INR n * e * ln c = e * Sum n (fun i => ln c + (/ c * (a i + e) - 1))).
  { rewrite Sum_plus, Sum_minus, !Sum_const, Sum_scal, Sum_plus, Sum_const, E.
    replace (1 + INR n * e) with (INR n * c) by (rewrite Ec; field; lra). field. lra. }
  rewrite CB_diff, U in Eq. apply Rmult_eq_reg_l in Eq; [|lra].
  destruct (Req_dec (a i) (/ INR n)) as [|W]; [assumption|exfalso].
  assert (X : Sum n (fun i => ln (a i + e)) < Sum n (fun i => ln c + (/ c * (a i + e) - 1))); [|lra].
  apply (Sum_lt n _ _ i Hi).
  - intros j Hj. pose proof (P j Hj). pose proof (ln_le_sub1 ((a j + e) / c) ltac:(apply Rdiv_lt_0_compat; lra)) as G.
    rewrite ln_quot in G by lra. unfold Rdiv in G. lra.
  - pose proof (P i Hi). assert (D1 : (a i + e) / c <> 1).
    { intro F. apply Rmult_eq_compat_r with (r := c) in F. unfold Rdiv in F. rewrite Rmult_assoc, Rinv_l in F by lra. lra. }
    pose proof (ln_lt_sub1 ((a i + e) / c) ltac:(apply Rdiv_lt_0_compat; lra) D1) as G.
    rewrite ln_quot in G by lra. unfold Rdiv in G. lra.
Qed.
(** claim entropy-spread. Of two laws, the errors of B differ by at most ln((1 + n eps) / (1 + eps)); those of
    the uniform law and a one-hot law by that. *)
Theorem B_spread n e a a' k : Law n a -> Law n a' -> 0 < e -> (k < n)%nat -> let u := fun _ => / INR n in
  (B n e a - A n a) - (B n e a' - A n a') <= ln ((1 + INR n * e) / (1 + e)) /\
  (B n e u - A n u) - (B n e (hot k) - A n (hot k)) = ln ((1 + INR n * e) / (1 + e)).
Proof.
  intros L L' He Hk u. pose proof (pos_INR n). rewrite ln_quot by nra. split.
  - pose proof (B_above_A_at_most n e a L He). pose proof (B_above_A n e a' L' He). lra.
  - unfold u. rewrite (B_above_A_uniform n e ltac:(lia) He), (B_above_A_hot n e k Hk). reflexivity.
Qed.
(** claim entropy-spread. From n = 2 on the errors of C for these two laws differ by more. *)
Theorem C_spread n e k : (2 <= n)%nat -> (k < n)%nat -> 0 < e -> let u := fun _ => / INR n in
  ln ((1 + INR n * e) / (1 + e)) < (C n e u - A n u) - (C n e (hot k) - A n (hot k)).
Proof.
  intros Hn Hk He u. assert (2 <= INR n) by (apply (le_INR 2), Hn).
  destruct (B_spread n e (hot k) (hot k) k (hot_law n k Hk) (hot_law n k Hk) He Hk) as [_ Q]. cbv zeta in Q. fold u in Q. rewrite <- Q.
  pose proof (C_below_B_uniform n e ltac:(lia) He) as U. cbv zeta in U. fold u in U.
  pose proof (C_below_B_at_least n e (hot k) (hot_law n k Hk) He) as [V|V]; [lra|exfalso].
  pose proof (C_below_B_only_uniform n e (hot k) (hot_law n k Hk) He V k Hk) as X. unfold hot in X. rewrite Nat.eqb_refl in X.
  apply Rmult_eq_compat_r with (r := INR n) in X. rewrite Rinv_l in X by lra. lra.
Qed.
(** claim entropy-spread. So with some constant taken off B is within half of that for every law; with no
    constant C is. *)
Theorem B_closer_with_constants n e : (2 <= n)%nat -> 0 < e -> let r := / 2 * ln ((1 + INR n * e) / (1 + e)) in
  (exists c, forall a, Law n a -> Rabs (B n e a - A n a - c) <= r) /\
  (forall c, exists a, Law n a /\ r < Rabs (C n e a - A n a - c)).
Proof.
  intros Hn He r. assert (2 <= INR n) by (apply (le_INR 2), Hn). split.
  - exists (/ 2 * (ln (1 + INR n * e) + ln (1 + e))). intros a L. unfold r. rewrite ln_quot by nra.
    pose proof (B_above_A_at_most n e a L He). pose proof (B_above_A n e a L He). apply Rabs_le. lra.
  - intro c. pose proof (C_spread n e 0 Hn ltac:(lia) He) as S. cbv zeta in S.
    destruct (Rlt_le_dec r (Rabs (C n e (fun _ => / INR n) - A n (fun _ => / INR n) - c))) as [|U].
    + exists (fun _ => / INR n). split; [apply uniform_law; lia|assumption].
    + exists (hot 0). split; [apply hot_law; lia|]. destruct (Rlt_le_dec r (Rabs (C n e (hot 0) - A n (hot 0) - c))) as [|W]; [assumption|exfalso].
      apply Rabs_le_between in U. apply Rabs_le_between in W. unfold r in U, W. lra.
Qed.
(** claim entropy-underflow. The exact entropy of softmax, for any constant c, such as the largest logit. *)
Theorem entropy_exact n z c : (0 < n)%nat ->
  Ent n (softmax n z) = ln (Sum n (fun i => exp (z i - c))) - Sum n (fun i => softmax n z i * (z i - c)).
Proof.
  intro Hn. pose proof (LSE_gibbs_equality n 1 (fun i => z i - c) (softmax n z) Rlt_0_1 (softmax_law n z Hn)) as [_ Q].
  unfold LSE, sharp, Mean in Q. rewrite (Sum_ext n (fun i => exp (1 * (z i - c))) (fun i => exp (z i - c))) in Q by (intros; rewrite Rmult_1_l; reflexivity).
  rewrite Rinv_1, Rmult_1_l in Q. rewrite <- Q; [field|]. intros i _.
  rewrite <- (softmax_shift n z (- c) i). apply softmax_ext. intro. ring.
Qed.
(** claim entropy-underflow. Its derivative by the logit j is -p_j (ln p_j + H), for finite logits always finite. *)
Theorem entropy_gradient n z j : (j < n)%nat -> let p := softmax n z in
  is_derive (fun t => Ent n (softmax n (upd z j t))) (z j) (- p j * (ln (p j) + Ent n p)).
Proof.
  intros Hj p. assert (Hn : (0 < n)%nat) by lia.
  apply (is_derive_ext (fun t => minus (LSE n 1 (upd z j t)) (Sum n (fun i => softmax n (upd z j t) i * upd z j t i)))).
  { intro t. rewrite (entropy_exact n _ 0 Hn). unfold LSE, minus, plus, opp; simpl. rewrite Rinv_1, Rmult_1_l. unfold Rminus. f_equal.
    - f_equal. apply Sum_ext. intros. f_equal. ring.
    - f_equal. apply Sum_ext. intros. f_equal. ring. }
  assert (X : forall i, sharp n 1 z i = p i) by (intro; unfold sharp, p; apply softmax_ext; intro; ring).
  assert (V : - p j * (ln (p j) + Ent n p) = minus (p j) (Sum n (fun i => p i * (if Nat.eqb i j then 1 else 0) + J p i j * z i))).
  { unfold p. rewrite (entropy_exact n z 0 Hn). fold p.
    replace (ln (p j)) with (z j - ln (Sum n (fun i => exp (z i)))).
    - rewrite (Sum_ext n (fun i => exp (z i - 0)) (fun i => exp (z i))) by (intros; f_equal; ring).
      rewrite (Sum_ext n (fun i => p i * (z i - 0)) (fun i => p i * z i)) by (intros; ring).
      rewrite Sum_plus, (Sum_ext n (fun i => p i * (if Nat.eqb i j then 1 else 0)) (fun i => if Nat.eqb i j then p i else 0)) by (intros; destruct (Nat.eqb i j); ring).
      rewrite (Sum_delta n j p Hj). rewrite (Sum_ext n (fun i => J p i j * z i) (fun k => J p j k * z k)) by (intros; rewrite J_symmetric; reflexivity).
      rewrite J_apply by exact Hj. unfold Mean, minus, plus, opp; simpl. ring.
    - unfold p, softmax. rewrite ln_quot by (apply exp_pos || apply Z_pos, Hn). rewrite ln_exp. reflexivity. }
  rewrite V. apply (is_derive_minus (V := R_NormedModule)).
  - rewrite <- X. apply LSE_gradient; [exact Hj|lra].
  - apply (is_derive_Sum n (fun i t => softmax n (upd z j t) i * upd z j t i)). intros i Hi.
    assert (D : is_derive (fun t => upd z j t i) (z j) (if Nat.eqb i j then 1 else 0)).
    { unfold upd. destruct (Nat.eqb i j); auto_derive; trivial. }
    pose proof (is_derive_mult (fun t => softmax n (upd z j t) i) (fun t => upd z j t i) (z j) _ _ (softmax_derivative n z i j Hj Hi) D Rmult_comm) as Q.
    unfold plus, mult in Q; simpl in Q. rewrite upd_same in Q.
    replace (p i * (if Nat.eqb i j then 1 else 0) + J p i j * z i) with (J (softmax n z) i j * z i + softmax n (upd z j (z j)) i * (if Nat.eqb i j then 1 else 0)); [exact Q|].
    unfold p. rewrite (softmax_ext n (upd z j (z j)) z i) by (intro; apply upd_same). ring.
Qed.

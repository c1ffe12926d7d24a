From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common certify entropy.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

(** Rows of two, three and four numbers; the rest are 0. *)
Definition two (x y : R) (i : nat) : R := match i with O => x | S O => y | _ => 0 end.
Definition three (x y z : R) (i : nat) : R := match i with O => x | S O => y | S (S O) => z | _ => 0 end.
Definition four (x y z w : R) (i : nat) : R := match i with O => x | S O => y | S (S O) => z | S (S (S O)) => w | _ => 0 end.
Lemma Sum_three n f x y z : (3 <= n)%nat -> Sum n (fun i => f (three x y z i)) = f x + f y + f z + INR (n - 3) * f 0.
Proof.
  intro Hn. induction n; [lia|]. destruct (Nat.eq_dec n 2) as [->|].
  - simpl. ring.
  - simpl Sum. rewrite IHn by lia. replace (S n - 3)%nat with (S (n - 3)) by lia. rewrite S_INR.
    replace (three x y z n) with 0; [ring|]. destruct n as [|[|[|]]]; try lia. reflexivity.
Qed.
Lemma three_law n x y z : (3 <= n)%nat -> 0 <= x -> 0 <= y -> 0 <= z -> x + y + z = 1 -> Law n (three x y z).
Proof.
  intros Hn Hx Hy Hz E. split.
  - intros i _. destruct i as [|[|[|]]]; simpl; lra.
  - transitivity (x + y + z + INR (n - 3) * 0); [exact (Sum_three n (fun u => u) x y z Hn)|lra].
Qed.
(** f is convex on P. *)
Definition convex_on (P : R -> Prop) (f : R -> R) := forall x y l, P x -> P y -> 0 <= l <= 1 ->
  f (l * x + (1 - l) * y) <= l * f x + (1 - l) * f y.
Lemma robin_hood P f x y t : convex_on P f -> P x -> P y -> x < y -> 0 <= t <= y - x ->
  f (x + t) + f (y - t) <= f x + f y.
Proof.
  intros F Px Py L T. set (l := t / (y - x)).
  assert (Hl : 0 <= l <= 1).
  { unfold l. split; [apply Rmult_le_pos; [lra|apply Rlt_le, Rinv_0_lt_compat; lra]|].
    apply Rmult_le_reg_r with (y - x); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. lra. }
  assert (E1 : x + t = (1 - l) * x + (1 - (1 - l)) * y) by (unfold l; field; lra).
  assert (E2 : y - t = l * x + (1 - l) * y) by (unfold l; field; lra).
  rewrite E1, E2.
  pose proof (F x y (1 - l) Px Py ltac:(lra)). pose proof (F x y l Px Py Hl). lra.
Qed.
(** p with t moved from entry j to entry i. *)
Definition transfer p i j t k : R := if Nat.eqb k i then p i + t else if Nat.eqb k j then p j - t else p k.
Lemma Sum_change2 n (f g : nat -> R) i j : (i < n)%nat -> (j < n)%nat -> i <> j ->
  (forall k, (k < n)%nat -> k <> i -> k <> j -> f k = g k) ->
  Sum n f - Sum n g = (f i - g i) + (f j - g j).
Proof.
  intros Hi Hj N E. rewrite <- Sum_minus.
  rewrite <- (Sum_delta n i (fun k => f k - g k) Hi), <- (Sum_delta n j (fun k => f k - g k) Hj), <- Sum_plus.
  apply Sum_ext. intros k Hk.
  destruct (Nat.eqb_spec k i), (Nat.eqb_spec k j); subst; try lia; try ring.
  rewrite E by assumption. ring.
Qed.
Lemma transfer_Sum P n f p i j t : convex_on P f -> (i < n)%nat -> (j < n)%nat -> P (p i) -> P (p j) ->
  p i < p j -> 0 <= t <= p j - p i ->
  Sum n (fun k => f (transfer p i j t k)) <= Sum n (fun k => f (p k)).
Proof.
  intros F Hi Hj Pi Pj L T. assert (N : i <> j) by (intro; subst; lra).
  pose proof (Sum_change2 n (fun k => f (transfer p i j t k)) (fun k => f (p k)) i j Hi Hj N) as Q.
  cbv beta in Q. unfold transfer in Q |- *. rewrite !Nat.eqb_refl in Q.
  destruct (Nat.eqb_spec j i); [lia|].
  pose proof (robin_hood P f (p i) (p j) t F Pi Pj L T). 
  assert (Sum n (fun k => f (if Nat.eqb k i then p i + t else if Nat.eqb k j then p j - t else p k)) - Sum n (fun k => f (p k)) <= 0); [|lra].
  rewrite Q; [lra|].
  intros k Hk A1 A2. destruct (Nat.eqb_spec k i); [contradiction|]. destruct (Nat.eqb_spec k j); [contradiction|]. reflexivity.
Qed.
(* Convex is what has a tangent below it everywhere. *)
Lemma convex_of_tangent (P : R -> Prop) f d :
  (forall x y l, P x -> P y -> 0 <= l <= 1 -> P (l * x + (1 - l) * y)) ->
  (forall u x, P u -> P x -> f u + d u * (x - u) <= f x) -> convex_on P f.
Proof.
  intros CP T x y l Px Py Hl. set (u := l * x + (1 - l) * y).
  assert (Pu : P u) by (apply CP; assumption).
  pose proof (T u x Pu Px) as Tx. pose proof (T u y Pu Py) as Ty.
  apply Rmult_le_compat_l with (r := l) in Tx; [|lra]. apply Rmult_le_compat_l with (r := 1 - l) in Ty; [|lra].
  assert (Z : l * (d u * (x - u)) + (1 - l) * (d u * (y - u)) = 0) by (unfold u; ring). lra.
Qed.
(** The summands of B and C, and the slopes of their tangents. *)
Definition fB e x := x * ln (x + e).
Definition fC e x := (x + e) * ln (x + e).
Definition dB e u := ln (u + e) + u / (u + e).
Definition dC e u := ln (u + e) + 1.
Lemma fC_tangent_strict e u x : 0 < e -> 0 <= u -> 0 <= x -> u <> x -> fC e u + dC e u * (x - u) < fC e x.
Proof.
  intros He Hu Hx N. unfold fC, dC.
  assert (D : 0 < (u + e) / (x + e)) by (apply Rdiv_lt_0_compat; lra).
  assert (D1 : (u + e) / (x + e) <> 1).
  { intro F. apply N. apply Rmult_eq_compat_r with (r := x + e) in F. unfold Rdiv in F. rewrite Rmult_assoc, Rinv_l in F by lra. lra. }
  pose proof (ln_lt_sub1 _ D D1) as G. rewrite ln_quot in G by lra.
  apply Rmult_lt_compat_l with (r := x + e) in G; [|lra].
  replace ((x + e) * ((u + e) / (x + e) - 1)) with (u - x) in G by (field; lra). nra.
Qed.
Lemma fB_tangent_strict e u x : 0 < e -> 0 <= u -> 0 <= x -> u <> x -> fB e u + dB e u * (x - u) < fB e x.
Proof.
  intros He Hu Hx N. unfold fB, dB.
  assert (D : 0 < (u + e) / (x + e)) by (apply Rdiv_lt_0_compat; lra).
  pose proof (ln_le_sub1 _ D) as G. rewrite ln_quot in G by lra.
  apply Rmult_le_compat_l with (r := x) in G; [|lra].
  assert (K : x * ((u + e) / (x + e) - 1) + u / (u + e) * (x - u) < 0).
  { replace (x * ((u + e) / (x + e) - 1) + u / (u + e) * (x - u)) with (- (e * (x - u) ^ 2) * / ((x + e) * (u + e))) by (field; lra).
    assert (0 < / ((x + e) * (u + e))) by (apply Rinv_0_lt_compat; nra).
    assert (0 < (x - u) ^ 2) by (apply pow2_gt_0; lra).
    assert (0 < e * (x - u) ^ 2) by (apply Rmult_lt_0_compat; assumption). nra. }
  nra.
Qed.
Lemma tangent_of_strict (f d : R -> R) u x : (u <> x -> f u + d u * (x - u) < f x) -> f u + d u * (x - u) <= f x.
Proof. intro H. destruct (Req_dec u x) as [->|N]; [lra|apply Rlt_le, H, N]. Qed.
Lemma fC_tangent e u x : 0 < e -> 0 <= u -> 0 <= x -> fC e u + dC e u * (x - u) <= fC e x.
Proof. intros. apply tangent_of_strict. intro. apply fC_tangent_strict; assumption. Qed.
Lemma fB_tangent e u x : 0 < e -> 0 <= u -> 0 <= x -> fB e u + dB e u * (x - u) <= fB e x.
Proof. intros. apply tangent_of_strict. intro. apply fB_tangent_strict; assumption. Qed.
Definition nonneg (x : R) := 0 <= x.
Lemma nonneg_convex x y l : nonneg x -> nonneg y -> 0 <= l <= 1 -> nonneg (l * x + (1 - l) * y).
Proof. unfold nonneg. intros. nra. Qed.
Lemma fB_convex e : 0 < e -> convex_on nonneg (fB e).
Proof. intro He. apply (convex_of_tangent nonneg _ (dB e) nonneg_convex). intros; apply fB_tangent; assumption. Qed.
Lemma fC_convex e : 0 < e -> convex_on nonneg (fC e).
Proof. intro He. apply (convex_of_tangent nonneg _ (dC e) nonneg_convex). intros; apply fC_tangent; assumption. Qed.
(** claim order-majorisation. What a larger entry gives to a smaller one, up to their difference, does not raise B. *)
Theorem B_transfer n e p i j t : 0 < e -> (forall k, (k < n)%nat -> 0 <= p k) -> (i < n)%nat -> (j < n)%nat ->
  p i < p j -> 0 <= t <= p j - p i -> B n e (transfer p i j t) <= B n e p.
Proof. intros He Pp Hi Hj. apply (transfer_Sum nonneg n (fB e)); try assumption; try (apply Pp; assumption). apply fB_convex, He. Qed.
(** claim order-majorisation. Nor does it raise C. *)
Theorem C_transfer n e p i j t : 0 < e -> (forall k, (k < n)%nat -> 0 <= p k) -> (i < n)%nat -> (j < n)%nat ->
  p i < p j -> 0 <= t <= p j - p i -> C n e (transfer p i j t) <= C n e p.
Proof. intros He Pp Hi Hj. apply (transfer_Sum nonneg n (fC e)); try assumption; try (apply Pp; assumption). apply fC_convex, He. Qed.
(* Summation by parts: where the partial sums of u are not negative and d does not increase. *)
Lemma abel n (d u : nat -> R) :
  (forall i, (S i < n)%nat -> d (S i) <= d i) -> (forall m, (m <= n)%nat -> 0 <= Sum m u) ->
  (0 < n)%nat -> d (pred n) * Sum n u <= Sum n (fun i => d i * u i).
Proof.
  intros D U. induction n; [lia|]. intros _. destruct n.
  - simpl. lra.
  - assert (IH : d n * Sum (S n) u <= Sum (S n) (fun i => d i * u i)) by (apply IHn; [intros; apply D; lia|intros; apply U; lia|lia]).
    change (Sum (S (S n)) u) with (Sum (S n) u + u (S n)). 
    change (Sum (S (S n)) (fun i => d i * u i)) with (Sum (S n) (fun i => d i * u i) + d (S n) * u (S n)).
    simpl pred. pose proof (D n ltac:(lia)). pose proof (U (S n) ltac:(lia)). nra.
Qed.
(** p majorises q: the first m entries of p sum to at least as much as those of q, and all to the
    same. q is listed in decreasing order; p may be listed in any. *)
Definition majorises n p q := (forall m, (m <= n)%nat -> Sum m q <= Sum m p) /\ Sum n p = Sum n q.
Definition sorted n (q : nat -> R) := forall i, (S i < n)%nat -> q (S i) <= q i.
Lemma karamata_slope (d : R -> R) n p q :
  (forall i, (S i < n)%nat -> d (q (S i)) <= d (q i)) -> majorises n p q -> 0 <= Sum n (fun i => d (q i) * (p i - q i)).
Proof.
  intros D [M E]. destruct n; [simpl; lra|].
  eapply Rle_trans; [|apply (abel (S n) (fun i => d (q i)) (fun i => p i - q i)); [| |lia]].
  - rewrite Sum_minus, E. right. ring.
  - exact D.
  - intros m Hm. rewrite Sum_minus. specialize (M m Hm). lra.
Qed.
Lemma karamata_strict (f d : R -> R) n p q k :
  (forall u x, 0 <= u -> 0 <= x -> u <> x -> f u + d u * (x - u) < f x) -> (forall u x, 0 <= u -> u <= x -> d u <= d x) ->
  Law n p -> Law n q -> sorted n q -> majorises n p q -> (k < n)%nat -> p k <> q k ->
  Sum n (fun i => f (q i)) < Sum n (fun i => f (p i)).
Proof.
  intros T D [Pp _] [Pq _] S M Hk N.
  assert (Q : 0 <= Sum n (fun i => d (q i) * (p i - q i))).
  { apply karamata_slope; [|exact M]. intros i Hi. apply D; [apply Pq; lia|apply S, Hi]. }
  assert (Sum n (fun i => f (q i) + d (q i) * (p i - q i)) < Sum n (fun i => f (p i))).
  { apply (Sum_lt n _ _ k Hk).
    - intros i Hi. apply tangent_of_strict. intro. apply T; auto.
    - apply T; auto. }
  rewrite Sum_plus in H. lra.
Qed.
(** claim order-majorisation. If p majorises q and is not q, then B(p) > B(q), for every eps > 0. *)
Theorem B_majorisation n e p q k : 0 < e -> Law n p -> Law n q -> sorted n q -> majorises n p q ->
  (k < n)%nat -> p k <> q k -> B n e q < B n e p.
Proof.
  intros He P Q. apply (karamata_strict (fB e) (dB e)); try assumption.
  - intros; apply fB_tangent_strict; assumption.
  - intros u x Hu L. unfold dB. apply Rplus_le_compat; [apply ln_mono; lra|].
    apply Rmult_le_reg_r with ((u + e) * (x + e)); [nra|].
    replace (u / (u + e) * ((u + e) * (x + e))) with (u * (x + e)) by (field; lra).
    replace (x / (x + e) * ((u + e) * (x + e))) with (x * (u + e)) by (field; lra). nra.
Qed.
(** claim order-majorisation. Likewise C(p) > C(q). *)
Theorem C_majorisation n e p q k : 0 < e -> Law n p -> Law n q -> sorted n q -> majorises n p q ->
  (k < n)%nat -> p k <> q k -> C n e q < C n e p.
Proof.
  intros He P Q. apply (karamata_strict (fC e) (dC e)); try assumption.
  - intros; apply fC_tangent_strict; assumption.
  - intros u x Hu L. unfold dC. apply Rplus_le_compat_r, ln_mono; lra.
Qed.
Lemma xlnx_tangent u x : 0 < u -> 0 <= x -> u <> x -> u * ln u + (ln u + 1) * (x - u) < x * ln x.
Proof.
  intros Hu [Hx|Hx] N; [|subst; lra]. assert (D : 0 < u / x) by (apply Rdiv_lt_0_compat; lra).
  assert (D1 : u / x <> 1) by (intro F; apply N; apply Rmult_eq_reg_r with (/ x); [unfold Rdiv in F; rewrite F; field; lra|apply Rinv_neq_0_compat; lra]).
  pose proof (ln_lt_sub1 _ D D1) as G. rewrite ln_quot in G by lra.
  apply Rmult_lt_compat_l with (r := x) in G; [|lra]. replace (x * (u / x - 1)) with (u - x) in G by (field; lra). nra.
Qed.
Lemma A_majorisation_positive n p q k : Law n p -> (forall i, (i < n)%nat -> 0 < q i) -> sorted n q -> majorises n p q ->
  (k < n)%nat -> p k <> q k -> A n q < A n p.
Proof.
  intros [Pp _] Pq S M Hk N. unfold A.
  assert (Q : 0 <= Sum n (fun i => (ln (q i) + 1) * (p i - q i))).
  { apply (karamata_slope (fun u => ln u + 1)); [|exact M]. intros i Hi. pose proof (Pq (Datatypes.S i) Hi).
    apply Rplus_le_compat_r, ln_mono; [assumption|apply S, Hi]. }
  assert (Sum n (fun i => q i * ln (q i) + (ln (q i) + 1) * (p i - q i)) < Sum n (fun i => p i * ln (p i))).
  { apply (Sum_lt n _ _ k Hk).
    - intros i Hi. apply (tangent_of_strict (fun u => u * ln u) (fun u => ln u + 1)). intro. apply xlnx_tangent; auto.
    - apply xlnx_tangent; auto. }
  rewrite Sum_plus in H. lra.
Qed.
Lemma sorted_positive n q : sorted (S n) q -> 0 < q n -> forall i, (i < S n)%nat -> 0 < q i.
Proof.
  intros Z P i Hi. apply Rlt_le_trans with (q n); [exact P|]. replace i with (n - (n - i))%nat by lia.
  induction (n - i)%nat as [|m IH]; [rewrite Nat.sub_0_r; lra|]. destruct (Nat.le_gt_cases n m) as [L|L].
  - replace (n - S m)%nat with (n - m)%nat by lia. exact IH.
  - apply Rle_trans with (1 := IH). replace (n - m)%nat with (S (n - S m)) by lia. apply Z. lia.
Qed.
(** claim order-majorisation. And A(p) > A(q). *)
Theorem A_majorisation n p q k : Law n p -> Law n q -> sorted n q -> majorises n p q -> (k < n)%nat -> p k <> q k -> A n q < A n p.
Proof.
  intros Lp Lq Z M Hk N. induction n; [lia|]. destruct Lp as [Pp Ep], Lq as [Pq Eq], M as [M E].
  destruct (Pq n ltac:(lia)) as [P|P].
  - apply (A_majorisation_positive (S n) p q k); [split; assumption|apply sorted_positive; assumption|exact Z|split; assumption|exact Hk|exact N].
  - pose proof (M n ltac:(lia)) as Q. pose proof (Pp n ltac:(lia)). simpl in Ep, Eq, E.
    assert (P' : p n = 0) by lra. rewrite P' in *. rewrite <- P in *.
    assert (k <> n) by (intro; subst k; lra).
    unfold A. simpl Sum. rewrite P', <- P, Rmult_0_l, !Rplus_0_r.
    apply IHn; [split; [intros; apply Pp; lia|lra]|split; [intros; apply Pq; lia|lra]|intros i Hi; apply Z; lia| |lia].
    split; [intros; apply M; lia|lra].
Qed.
(** claim order-majorisation. Of two laws on two points, each in decreasing order, one majorises the other. *)
Theorem two_comparable p q : Law 2 p -> Law 2 q -> sorted 2 p -> sorted 2 q -> majorises 2 p q \/ majorises 2 q p.
Proof.
  intros [_ Ep] [_ Eq] _ _. unfold majorises. rewrite Ep, Eq. simpl in Ep, Eq.
  destruct (Rle_dec (q 0%nat) (p 0%nat)) as [L|L]; [left|right]; split; try reflexivity;
    intros [|[|[|m]]] Hm; simpl; solve [lra | lia].
Qed.
(** claim order-majorisation. With logits in decreasing order, the law at the larger beta majorises that
    at the smaller one. *)
Theorem temperatures_majorise n z b b' : (0 < n)%nat -> 0 <= b -> b <= b' -> (forall i j, (i <= j < n)%nat -> z j <= z i) ->
  majorises n (softmax n (fun i => b' * z i)) (softmax n (fun i => b * z i)).
Proof.
  intros Hn _ Hb Z. split.
  2:{ destruct (softmax_law n (fun i => b' * z i) Hn) as [_ ->]. destruct (softmax_law n (fun i => b * z i) Hn) as [_ ->]. reflexivity. }
  intros m Hm. pose proof (Z_pos n (fun i => b * z i) Hn) as P. pose proof (Z_pos n (fun i => b' * z i) Hn) as P'.
  unfold softmax, Rdiv. rewrite !Sum_scal_r.
  set (w := Sum n _) in *. set (w' := Sum n (fun i => exp (b' * z i))) in *.
  apply Rmult_le_reg_r with (w * w'); [nra|].
  replace (Sum m (fun i => exp (b * z i)) * / w * (w * w')) with (Sum m (fun i => exp (b * z i)) * w') by (field; lra).
  replace (Sum m (fun i => exp (b' * z i)) * / w' * (w * w')) with (Sum m (fun i => exp (b' * z i)) * w) by (field; lra).
  assert (K : forall k, (m <= k <= n)%nat -> Sum m (fun i => exp (b * z i)) * Sum k (fun i => exp (b' * z i))
                             <= Sum m (fun i => exp (b' * z i)) * Sum k (fun i => exp (b * z i))).
  { induction k; intros Hk.
    - replace m with 0%nat by lia. simpl. lra.
    - destruct (Nat.eq_dec m (S k)) as [->|N]; [lra|]. simpl Sum. rewrite !Rmult_plus_distr_l.
      apply Rplus_le_compat; [apply IHk; lia|]. rewrite <- !Sum_scal_r. apply Sum_le. intros i Hi.
      rewrite <- !exp_plus. pose proof (Z i k ltac:(lia)).
      destruct (Rle_lt_or_eq_dec (b * z i + b' * z k) (b' * z i + b * z k)) as [L|L]; [nra| |rewrite L; lra].
      apply Rlt_le, exp_increasing, L. }
  apply K. lia.
Qed.
(** psi of B and of C: what eps adds to A lies between its values at eps and at n eps. *)
Definition psi_B r := ln (1 + r).
Definition psi_C r := (1 + r) * ln (1 + r) - r * ln r.
Lemma CA_lower n e a : Law n a -> 0 < e -> INR n * e * ln e + psi_C e <= C n e a - A n a.
Proof.
  intros L He. pose proof (B_above_A n e a L He). pose proof (C_below_B_at_most n e a L He). unfold psi_C. lra.
Qed.
Lemma CA_upper n e a : Law n a -> 0 < e -> C n e a - A n a <= INR n * e * ln e + psi_C (INR n * e).
Proof.
  intros L He. pose proof (B_above_A_at_most n e a L He) as U. pose proof (C_below_B_at_least n e a L He) as V.
  assert (N : 0 < INR n) by (apply lt_0_INR, (Law_n _ _ L)).
  unfold psi_C. rewrite ln_quot in V by nra. rewrite (ln_mult (INR n) e) by lra. nra.
Qed.
Lemma hot_most (f d : R -> R) n q k : (forall u x, 0 <= u -> 0 <= x -> u <> x -> f u + d u * (x - u) < f x) ->
  Law n q -> (k < n)%nat -> 0 < q k < 1 -> Sum n (fun i => f (q i)) < f 1 + (INR n - 1) * f 0.
Proof.
  intros T L Hk K. replace (f 1 + (INR n - 1) * f 0) with (Sum n (fun i => f 0 + q i * (f 1 - f 0))).
  2:{ rewrite Sum_plus, Sum_const, Sum_scal_r. destruct L as [_ E]. rewrite E. ring. }
  apply (Sum_lt n _ _ k Hk).
  - intros i Hi. pose proof (Law_le1 n q i L Hi) as U. destruct L as [P _]. pose proof (P i Hi) as V.
    pose proof (tangent_of_strict f d (q i) 0 (T _ _ V (Rle_refl 0))) as T0.
    pose proof (tangent_of_strict f d (q i) 1 (T _ _ V Rle_0_1)) as T1.
    apply Rmult_le_compat_l with (r := 1 - q i) in T0; [|lra]. apply Rmult_le_compat_l with (r := q i) in T1; [|lra]. nra.
  - pose proof (T (q k) 0 ltac:(lra) ltac:(lra) ltac:(lra)) as T0. pose proof (T (q k) 1 ltac:(lra) ltac:(lra) ltac:(lra)) as T1.
    apply Rmult_lt_compat_l with (r := 1 - q k) in T0; [|lra]. apply Rmult_lt_compat_l with (r := q k) in T1; [|lra]. nra.
Qed.
Lemma A_same n p q : (forall i, (i < n)%nat -> p i = q i) -> A n p = A n q.
Proof. intro H. apply Sum_ext. intros i Hi. rewrite H by exact Hi. reflexivity. Qed.
Lemma A_hot n k : (k < n)%nat -> A n (hot k) = 0.
Proof. intro Hk. unfold A. rewrite (Sum_hot n k (fun x => x * ln x) Hk), ln_1. ring. Qed.
(** claim order-gap. A gap of at least psi(n eps) - psi(eps) keeps the order: B. *)
Theorem gap_B n e p q : Law n p -> Law n q -> 0 < e -> A n q < A n p ->
  psi_B (INR n * e) - psi_B e <= A n p - A n q -> B n e q < B n e p.
Proof.
  unfold psi_B. intros P Q He O G. pose proof (B_above_A_at_most n e q Q He).
  destruct (hot_or_between n p P) as [[k [Hk K]]|[k [Hk K]]].
  - destruct (hot_or_between n q Q) as [[l [Hl J]]|[l [Hl J]]].
    + rewrite (A_same n p _ K), (A_same n q _ J), !A_hot in O by assumption. lra.
    + pose proof (hot_most (fB e) (dB e) n q l (fun u x Hu Hx => fB_tangent_strict e u x He Hu Hx) Q Hl J) as M.
      replace (B n e p) with (fB e 1 + (INR n - 1) * fB e 0); [exact M|].
      rewrite <- (Sum_hot n k (fB e) Hk). apply Sum_ext. intros i Hi. rewrite K by exact Hi. reflexivity.
  - destruct (B_above_A n e p P He) as [L|L]; [lra|]. destruct (B_above_A_only_hot n e p P He (eq_sym L)) as [l [Hl J]].
    rewrite (J k Hk) in K. unfold hot in K. destruct (Nat.eqb k l); lra.
Qed.
(** claim order-gap. A gap of at least psi(n eps) - psi(eps) keeps the order: C. *)
Theorem gap_C n e p q : Law n p -> Law n q -> 0 < e -> A n q < A n p ->
  psi_C (INR n * e) - psi_C e <= A n p - A n q -> C n e q < C n e p.
Proof.
  intros P Q He O G. pose proof (CA_upper n e q Q He).
  destruct (hot_or_between n p P) as [[k [Hk K]]|[k [Hk K]]].
  - destruct (hot_or_between n q Q) as [[l [Hl J]]|[l [Hl J]]].
    + rewrite (A_same n p _ K), (A_same n q _ J), !A_hot in O by assumption. lra.
    + pose proof (hot_most (fC e) (dC e) n q l (fun u x Hu Hx => fC_tangent_strict e u x He Hu Hx) Q Hl J) as M.
      replace (C n e p) with (fC e 1 + (INR n - 1) * fC e 0); [exact M|].
      rewrite <- (Sum_hot n k (fC e) Hk). apply Sum_ext. intros i Hi. rewrite K by exact Hi. reflexivity.
  - assert (S : ln (1 + e) < B n e p - A n p).
    { destruct (B_above_A n e p P He) as [L|L]; [lra|]. destruct (B_above_A_only_hot n e p P He (eq_sym L)) as [l [Hl J]].
      rewrite (J k Hk) in K. unfold hot in K. destruct (Nat.eqb k l); lra. }
    pose proof (C_below_B_at_most n e p P He). unfold psi_C in *. lra.
Qed.
(** claim order-gap. For B the gap that is enough, read as a bound of eps. *)
Theorem gap_B_eps n e D : 0 < D -> exp D < INR n -> 0 < e ->
  psi_B (INR n * e) - psi_B e <= D <-> e <= (exp D - 1) / (INR n - exp D).
Proof.
  intros HD Hn He. unfold psi_B. assert (1 < exp D) by (rewrite <- exp_0; apply exp_increasing; lra).
  assert (P : 0 < (1 + INR n * e) / (1 + e)) by (apply Rdiv_lt_0_compat; nra).
  rewrite <- ln_quot by nra. rewrite <- (ln_exp D) at 1.
  rewrite <- (Rle_div_r e) by lra. split; intro H1.
  - assert (Q : (1 + INR n * e) / (1 + e) <= exp D).
    { destruct H1 as [L|L]; [apply Rlt_le, ln_lt_inv; [exact P|apply exp_pos|exact L]|right; apply ln_inv; [exact P|apply exp_pos|exact L]]. }
    apply Rle_div_l in Q; lra.
  - apply ln_mono; [exact P|]. apply Rle_div_l; lra.
Qed.
Lemma psi_C_pos e : 0 < e -> e <= 1 -> 0 <= psi_C e.
Proof.
  intros He H1. unfold psi_C. assert (ln e <= 0) by (rewrite <- ln_1; apply ln_mono; lra).
  assert (0 <= ln (1 + e)) by (rewrite <- ln_1; apply ln_mono; lra). nra.
Qed.
Lemma psi_C_small r : 0 < r -> r <= 1 -> psi_C r <= 4 * sqrt r.
Proof.
  intros Hr H1. set (s := sqrt r). assert (S : s * s = r) by (apply sqrt_sqrt; lra).
  assert (Hs : 0 < s) by (apply sqrt_lt_R0; exact Hr). assert (s <= 1) by nra.
  pose proof (ln_le_sub1 (1 + r) ltac:(lra)) as L1. pose proof (ln_ge_1sub s Hs) as L2.
  unfold psi_C. rewrite <- S. rewrite ln_mult by exact Hs. rewrite S.
  assert (X : r * (1 - / s) = r - s) by (rewrite <- S; field; lra).
  assert (r * (1 - / s) <= r * ln s) by (apply Rmult_le_compat_l; lra). nra.
Qed.
(** claim order-preserved. A pair with a strict gap has an eps_0 below which C keeps its order. *)
Theorem small_C n p q : Law n p -> Law n q -> A n q < A n p ->
  exists e0, 0 < e0 /\ forall e, 0 < e -> e < e0 -> C n e q < C n e p.
Proof.
  intros P Q Gp. pose proof (Law_n _ _ P) as Hn. assert (N : 1 <= INR n) by (apply (le_INR 1); lia).
  set (D := A n p - A n q). assert (HD : 0 < D) by (unfold D; lra).
  set (m := Rmin 1 ((D / 4) ^ 2)).
  assert (Hm : 0 < m) by (apply Rmin_glb_lt; [lra|apply pow_lt; lra]).
  exists (m / INR n). split; [apply Rdiv_lt_0_compat; lra|]. intros e He Hb.
  apply Rmult_lt_compat_l with (r := INR n) in Hb; [|lra]. replace (INR n * (m / INR n)) with m in Hb by (field; lra).
  pose proof (Rmin_l 1 ((D / 4) ^ 2)) as M1. pose proof (Rmin_r 1 ((D / 4) ^ 2)) as M2. fold m in M1, M2.
  assert (0 < INR n * e) by nra. assert (e <= 1) by nra.
  pose proof (CA_lower n e p P He). pose proof (CA_upper n e q Q He).
  pose proof (psi_C_pos e He ltac:(lra)). pose proof (psi_C_small (INR n * e) ltac:(lra) ltac:(lra)).
  assert (sqrt (INR n * e) < D / 4).
  { rewrite <- (sqrt_pow2 (D / 4)) by lra. apply sqrt_lt_1; lra. }
  unfold D in *. lra.
Qed.
(** claim order-preserved. A pair with a strict gap has an eps_0 below which B keeps its order. *)
Theorem small_B n p q : Law n p -> Law n q -> A n q < A n p ->
  exists e0, 0 < e0 /\ forall e, 0 < e -> e < e0 -> B n e q < B n e p.
Proof.
  intros P Q G. pose proof (Law_n _ _ P) as Hn. assert (N : 0 < INR n) by (apply lt_0_INR; exact Hn).
  exists ((A n p - A n q) / INR n). split; [apply Rdiv_lt_0_compat; lra|].
  intros e He Hb. pose proof (B_above_A n e p P He). pose proof (B_above_A_at_most n e q Q He).
  assert (0 < ln (1 + e)) by (rewrite <- ln_1; apply ln_increasing; lra).
  assert (ln (1 + INR n * e) <= 1 + INR n * e - 1) by (apply ln_le_sub1; nra).
  apply Rmult_lt_compat_l with (r := INR n) in Hb; [|exact N].
  replace (INR n * ((A n p - A n q) / INR n)) with (A n p - A n q) in Hb by (field; lra). lra.
Qed.
(** claim line-integral. A rises by the integral of its gradient along the segment, if both laws are positive.
    The 1 in the gradient drops out. *)
Theorem line_integral n p q : (forall i, (i < n)%nat -> 0 < p i) -> (forall i, (i < n)%nat -> 0 < q i) -> Sum n p = Sum n q ->
  is_RInt (fun t => Sum n (fun i => (q i - p i) * ln (p i + t * (q i - p i)))) 0 1 (A n q - A n p).
Proof.
  intros P Q E.
  assert (PT : forall i t, (i < n)%nat -> 0 <= t <= 1 -> 0 < p i + t * (q i - p i)).
  { intros i t Hi Ht. pose proof (P i Hi). pose proof (Q i Hi). nra. }
  replace (A n q - A n p) with (minus (A n (fun i => p i + 1 * (q i - p i))) (A n (fun i => p i + 0 * (q i - p i)))).
  2:{ unfold A, minus, plus, opp; simpl. 
      rewrite (Sum_ext n (fun i => (p i + 1 * (q i - p i)) * ln (p i + 1 * (q i - p i))) (fun i => q i * ln (q i))), (Sum_ext n (fun i => (p i + 0 * (q i - p i)) * ln (p i + 0 * (q i - p i))) (fun i => p i * ln (p i))); [ring| |].
      - intros. replace (p i + 0 * (q i - p i)) with (p i) by ring. reflexivity.
      - intros. replace (p i + 1 * (q i - p i)) with (q i) by ring. reflexivity. }
  apply (is_RInt_derive (fun t => A n (fun i => p i + t * (q i - p i)))).
  - intros t Ht. rewrite Rmin_left, Rmax_right in Ht by lra.
    replace (Sum n (fun i => (q i - p i) * ln (p i + t * (q i - p i)))) with (Sum n (fun i => (q i - p i) * ln (p i + t * (q i - p i)) + (q i - p i))) by (rewrite Sum_plus, Sum_minus, E; ring).
    apply (is_derive_Sum n (fun i t => (p i + t * (q i - p i)) * ln (p i + t * (q i - p i)))).
    intros i Hi. pose proof (PT i t Hi Ht). auto_derive; [lra|field; lra].
  - intros t Ht. rewrite Rmin_left, Rmax_right in Ht by lra.
    apply (ex_derive_continuous (fun t => Sum n (fun i => (q i - p i) * ln (p i + t * (q i - p i))))).
    exists (Sum n (fun i => (q i - p i) * ((q i - p i) / (p i + t * (q i - p i))))).
    apply (is_derive_Sum n (fun i t => (q i - p i) * ln (p i + t * (q i - p i)))).
    intros i Hi. pose proof (PT i t Hi Ht). auto_derive; [lra|field; lra].
Qed.
Lemma xlnx_continuous x : 0 <= x -> continuous (fun t => t * ln t) x.
Proof.
  intros [P|<-].
  - apply (ex_derive_continuous (fun t => t * ln t)). auto_derive. exact P.
  - intros V [e H]. assert (D : 0 < Rmin 1 ((e / 2) ^ 2)).
    { apply Rmin_pos; [lra|]. apply pow_lt. pose proof (cond_pos e). lra. }
    exists (mkposreal _ D). intros t Bt. apply H. change (Rabs (t - 0) < Rmin 1 ((e / 2) ^ 2)) in Bt.
    change (Rabs (t * ln t - 0 * ln 0) < e). pose proof (cond_pos e) as Pe.
    destruct (Rle_lt_dec t 0) as [L|L].
    + replace (ln t) with 0 by (unfold ln; destruct (Rlt_dec 0 t); [exfalso; lra|reflexivity]).
      rewrite Rmult_0_r, Rmult_0_l, Rminus_0_r, Rabs_R0. exact Pe.
    + rewrite Rminus_0_r, Rabs_right in Bt by lra.
      pose proof (Rlt_le_trans _ _ _ Bt (Rmin_l _ _)). pose proof (Rlt_le_trans _ _ _ Bt (Rmin_r _ _)).
      pose proof (sqrt_lt_R0 t L) as S. pose proof (sqrt_sqrt t (Rlt_le _ _ L)) as SS.
      pose proof (ln_ge_1sub _ S) as G. pose proof (ln_le_sub1 t L) as U.
      assert (E : ln t = 2 * ln (sqrt t)) by (rewrite <- SS at 1; rewrite ln_mult by assumption; ring).
      assert (G' : sqrt t - 1 <= sqrt t * ln (sqrt t)).
      { replace (sqrt t - 1) with (sqrt t * (1 - / sqrt t)) by (field; lra). apply Rmult_le_compat_l; lra. }
      assert (sqrt t < e / 2) by nra.
      assert (X : t * ln t = 2 * sqrt t * (sqrt t * ln (sqrt t))) by (rewrite E; rewrite <- SS at 1; ring).
      rewrite Rmult_0_l, Rminus_0_r. apply Rabs_def1; nra.
Qed.
Lemma continuous_Sum n (f : nat -> R -> R) x : (forall i, (i < n)%nat -> continuous (f i) x) ->
  continuous (fun t => Sum n (fun i => f i t)) x.
Proof.
  intro H. induction n; simpl; [apply continuous_const|].
  apply (continuous_plus (V := R_NormedModule) (fun t => Sum n (fun i => f i t)) (f n)); [apply IHn; intros|]; apply H; lia.
Qed.
Lemma inside_01 : filter_prod (at_right 0) (at_left 1) (fun ab => 0 < fst ab < 1 /\ 0 < snd ab < 1).
Proof.
  apply (Filter_prod _ _ _ (fun a => 0 < a < 1) (fun b => 0 < b < 1)).
  - exists (mkposreal 1 Rlt_0_1). intros a Ba Ha. change (Rabs (a - 0) < 1) in Ba. apply Rabs_def2 in Ba. lra.
  - exists (mkposreal 1 Rlt_0_1). intros b Bb Hb. change (Rabs (b - 1) < 1) in Bb. apply Rabs_def2 in Bb. lra.
  - intros a b Ha Hb. split; assumption.
Qed.
Lemma improper_terms n c p q : (forall i, (i < n)%nat -> 0 <= p i) -> (forall i, (i < n)%nat -> 0 <= q i) ->
  is_RInt_gen (fun t => Sum n (fun i => c i * ((q i - p i) * ln (p i + t * (q i - p i))))) (at_right 0) (at_left 1)
    (Sum n (fun i => c i * (q i * ln (q i) - q i)) - Sum n (fun i => c i * (p i * ln (p i) - p i))).
Proof.
  intros P Q. set (x := fun i t => p i + t * (q i - p i)). set (G := fun t => Sum n (fun i => c i * (x i t * ln (x i t) - x i t))).
  assert (PT : forall i t, (i < n)%nat -> p i <> q i -> 0 < t < 1 -> 0 < x i t).
  { intros i t Hi N Ht. pose proof (P i Hi). pose proof (Q i Hi). unfold x. nra. }
  assert (C : forall t, 0 <= t <= 1 -> continuous G t).
  { intros t Ht. apply (continuous_Sum n (fun i t => c i * (x i t * ln (x i t) - x i t))).
    intros i Hi. apply (continuous_comp (x i) (fun u => c i * (u * ln u - u))).
    - apply (ex_derive_continuous (x i)). unfold x. auto_derive. exact I.
    - apply (continuous_scal_r (V := R_NormedModule) (c i) (fun u => u * ln u - u)).
      apply (continuous_minus (V := R_NormedModule) (fun u => u * ln u)); [|apply continuous_id].
      apply xlnx_continuous. pose proof (P i Hi). pose proof (Q i Hi). unfold x. nra. }
  assert (J : forall a b, 0 < a < 1 -> 0 < b < 1 ->
    is_RInt (fun t => Sum n (fun i => c i * ((q i - p i) * ln (x i t)))) a b (plus (G b) (opp (G a)))).
  { intros a b Ha Hb.
    assert (T : forall t, Rmin a b <= t <= Rmax a b -> 0 < t < 1).
    { intros t Ht. unfold Rmin, Rmax in Ht. destruct (Rle_dec a b); lra. }
    apply (is_RInt_derive G).
    - intros t Ht. apply T in Ht.
      apply (is_derive_Sum n (fun i t => c i * (x i t * ln (x i t) - x i t))).
      intros i Hi. destruct (Req_dec (p i) (q i)) as [X|X].
      + apply (is_derive_ext (fun _ => c i * (q i * ln (q i) - q i))).
        * intro s. unfold x. rewrite X. replace (q i + s * (q i - q i)) with (q i) by ring. reflexivity.
        * replace (c i * ((q i - p i) * ln (x i t))) with 0 by (rewrite X; ring). apply @is_derive_const.
      + pose proof (PT i t Hi X Ht) as Z. unfold x in *. auto_derive; [lra|field; lra].
    - intros t Ht. apply T in Ht.
      apply (continuous_Sum n (fun i t => c i * ((q i - p i) * ln (x i t)))).
      intros i Hi. destruct (Req_dec (p i) (q i)) as [X|X].
      + apply (continuous_ext (fun _ => 0)); [|apply continuous_const].
        intro s. rewrite X. replace (q i - q i) with 0 by ring. rewrite Rmult_0_l, Rmult_0_r. reflexivity.
      + pose proof (PT i t Hi X Ht) as Z. apply (ex_derive_continuous (fun t => c i * ((q i - p i) * ln (x i t)))).
        unfold x in *. auto_derive. lra. }
  assert (G1 : G 1 = Sum n (fun i => c i * (q i * ln (q i) - q i))).
  { apply Sum_ext. intros i _. unfold x. replace (p i + 1 * (q i - p i)) with (q i) by ring. reflexivity. }
  assert (G0 : G 0 = Sum n (fun i => c i * (p i * ln (p i) - p i))).
  { apply Sum_ext. intros i _. unfold x. replace (p i + 0 * (q i - p i)) with (p i) by ring. reflexivity. }
  rewrite <- G1, <- G0. change (G 1 - G 0) with (plus (G 1) (opp (G 0))).
  intros V HV.
  assert (L : filterlim (fun ab => plus (G (snd ab)) (opp (G (fst ab)))) (filter_prod (at_right 0) (at_left 1)) (locally (plus (G 1) (opp (G 0))))).
  { apply (filterlim_comp_2 (G := locally (G 1)) (H := locally (opp (G 0)))).
    - apply (filterlim_comp _ _ _ snd G _ (at_left 1)); [apply filterlim_snd|].
      apply (filterlim_filter_le_1 (F := locally 1)); [apply filter_le_within|]. apply C. lra.
    - apply (filterlim_comp _ _ _ fst (fun a => opp (G a)) _ (at_right 0)); [apply filterlim_fst|].
      apply (filterlim_filter_le_1 (F := locally 0)); [apply filter_le_within|].
      apply (continuous_opp (V := R_NormedModule) G). apply C. lra.
    - apply (filterlim_plus (V := R_NormedModule)). }
  specialize (L V HV). unfold filtermap in L.
  unfold filtermapi. eapply filter_imp; [|exact (filter_and _ _ L inside_01)]. intros [a b] [Va [Ha Hb]].
  exists (plus (G b) (opp (G a))). split; [apply J; assumption|exact Va].
Qed.
(** claim line-integral. Where an entry is 0 at an end the integral is improper, and A rises by it. *)
Theorem line_integral_improper n p q : (forall i, (i < n)%nat -> 0 <= p i) -> (forall i, (i < n)%nat -> 0 <= q i) -> Sum n p = Sum n q ->
  is_RInt_gen (fun t => Sum n (fun i => (q i - p i) * ln (p i + t * (q i - p i)))) (at_right 0) (at_left 1) (A n q - A n p).
Proof.
  intros P Q E. pose proof (improper_terms n (fun _ => 1) p q P Q) as H.
  replace (A n q - A n p) with (Sum n (fun i => 1 * (q i * ln (q i) - q i)) - Sum n (fun i => 1 * (p i * ln (p i) - p i))).
  - revert H. apply is_RInt_gen_ext. apply filter_forall. intros ab t _. apply Sum_ext. intros. apply Rmult_1_l.
  - unfold A. rewrite !Sum_scal, !Sum_minus, E. ring.
Qed.
(** claim line-integral. It converges absolutely, each term alone: their absolute values have an integral. *)
Theorem line_integral_absolute n p q : Law n p -> Law n q ->
  exists L, is_RInt_gen (fun t => Sum n (fun i => Rabs ((q i - p i) * ln (p i + t * (q i - p i))))) (at_right 0) (at_left 1) L.
Proof.
  intros HP HQ. set (c := fun i => if Rle_dec (p i) (q i) then -1 else 1). eexists.
  eapply is_RInt_gen_ext; [|apply (improper_terms n c p q); [apply HP|apply HQ]].
  eapply filter_imp; [|exact inside_01]. intros [a b] [Ha Hb] t Ht. simpl in *.
  assert (T : 0 < t < 1) by (unfold Rmin, Rmax in Ht; destruct (Rle_dec a b); lra).
  apply Sum_ext. intros i Hi. set (x := p i + t * (q i - p i)).
  pose proof (proj1 HP i Hi). pose proof (proj1 HQ i Hi). pose proof (Law_le1 n p i HP Hi). pose proof (Law_le1 n q i HQ Hi).
  assert (X : ln x <= 0).
  { destruct (Rle_lt_dec x 0) as [Z|Z].
    - unfold ln. destruct (Rlt_dec 0 x); [exfalso; lra|lra].
    - rewrite <- ln_1. apply ln_mono; [exact Z|unfold x; nra]. }
  unfold c. destruct (Rle_dec (p i) (q i)); [rewrite Rabs_left1 by nra; ring|rewrite Rabs_right by nra; ring].
Qed.
(** claim line-integral. The same for C. *)
Theorem line_integral_C n e p q : Law n p -> Law n q -> 0 < e ->
  is_RInt (fun t => Sum n (fun i => (q i - p i) * ln (p i + t * (q i - p i) + e))) 0 1 (C n e q - C n e p).
Proof.
  intros [P EP] [Q EQ] He.
  pose proof (line_integral n (fun i => p i + e) (fun i => q i + e)) as L. cbv beta in L.
  unfold C, A in *. eapply is_RInt_ext; [|apply L].
  - intros t _. cbv beta. apply Sum_ext. intros i _. replace (q i + e - (p i + e)) with (q i - p i) by ring.
    f_equal. f_equal. ring.
  - intros i Hi. pose proof (P i Hi). lra.
  - intros i Hi. pose proof (Q i Hi). lra.
  - rewrite !Sum_plus, EP, EQ. reflexivity.
Qed.
(** claim line-integral. In B the term x / (x + eps) takes the place of the 1, and stays. *)
Theorem line_integral_B n e p q : Law n p -> Law n q -> 0 < e ->
  is_RInt (fun t => Sum n (fun i => (q i - p i) * dB e (p i + t * (q i - p i)))) 0 1 (B n e q - B n e p).
Proof.
  intros [P EP] [Q EQ] He.
  assert (PT : forall i t, (i < n)%nat -> 0 <= t <= 1 -> 0 < p i + t * (q i - p i) + e).
  { intros i t Hi Ht. pose proof (P i Hi). pose proof (Q i Hi). nra. }
  replace (B n e q - B n e p) with (minus (B n e (fun i => p i + 1 * (q i - p i))) (B n e (fun i => p i + 0 * (q i - p i)))).
  2:{ change (B n e (fun i => p i + 1 * (q i - p i)) - B n e (fun i => p i + 0 * (q i - p i)) = B n e q - B n e p).
      unfold B. f_equal; apply Sum_ext; intros i _.
      - replace (p i + 1 * (q i - p i)) with (q i) by ring. reflexivity.
      - replace (p i + 0 * (q i - p i)) with (p i) by ring. reflexivity. }
  apply (is_RInt_derive (fun t => B n e (fun i => p i + t * (q i - p i)))).
  - intros t Ht. rewrite Rmin_left, Rmax_right in Ht by lra.
    apply (is_derive_Sum n (fun i t => (p i + t * (q i - p i)) * ln (p i + t * (q i - p i) + e))).
    intros i Hi. pose proof (PT i t Hi Ht). unfold dB. auto_derive; [lra|field; lra].
  - intros t Ht. rewrite Rmin_left, Rmax_right in Ht by lra.
    apply (ex_derive_continuous (fun t => Sum n (fun i => (q i - p i) * dB e (p i + t * (q i - p i))))).
    exists (Sum n (fun i => (q i - p i) * ((q i - p i) / (p i + t * (q i - p i) + e) + (q i - p i) * e / (p i + t * (q i - p i) + e) ^ 2))).
    apply (is_derive_Sum n (fun i t => (q i - p i) * dB e (p i + t * (q i - p i)))).
    intros i Hi. pose proof (PT i t Hi Ht). unfold dB. auto_derive; [repeat split; lra|field; lra].
Qed.
(** claim integrand-sign. At its start the integrand is the rise of A minus KL(q || p), at its end the rise plus
    KL(p || q). *)
Theorem integrand_ends n p q : (forall i, (i < n)%nat -> 0 < p i) -> (forall i, (i < n)%nat -> 0 < q i) ->
  Sum n (fun i => (q i - p i) * ln (p i)) = A n q - A n p - Sum n (fun i => q i * ln (q i / p i)) /\
  Sum n (fun i => (q i - p i) * ln (q i)) = A n q - A n p + Sum n (fun i => p i * ln (p i / q i)).
Proof.
  intros P Q. unfold A. rewrite <- !Sum_minus, <- Sum_plus.
  split; apply Sum_ext; intros i Hi; rewrite ln_quot by auto; ring.
Qed.
(** claim integrand-sign. On the way it increases strictly. *)
Theorem integrand_increases n p q k s t : (forall i, (i < n)%nat -> 0 < p i) -> (forall i, (i < n)%nat -> 0 < q i) ->
  (k < n)%nat -> p k <> q k -> 0 <= s -> s < t -> t <= 1 ->
  Sum n (fun i => (q i - p i) * ln (p i + s * (q i - p i))) < Sum n (fun i => (q i - p i) * ln (p i + t * (q i - p i))).
Proof.
  intros P Q Hk N Hs Hst Ht.
  assert (PT : forall i u, (i < n)%nat -> 0 <= u <= 1 -> 0 < p i + u * (q i - p i)).
  { intros i u Hi Hu. pose proof (P i Hi). pose proof (Q i Hi). nra. }
  assert (M : forall i, (i < n)%nat -> p i <> q i ->
    (q i - p i) * ln (p i + s * (q i - p i)) < (q i - p i) * ln (p i + t * (q i - p i))).
  { intros i Hi Ni. pose proof (PT i s Hi ltac:(lra)). pose proof (PT i t Hi ltac:(lra)).
    destruct (Rlt_le_dec (p i) (q i)) as [L|L].
    - apply Rmult_lt_compat_l; [lra|]. apply ln_increasing; nra.
    - assert (ln (p i + t * (q i - p i)) < ln (p i + s * (q i - p i))) by (apply ln_increasing; nra). nra. }
  apply (Sum_lt n _ _ k Hk); [|apply M; assumption].
  intros i Hi. destruct (Req_dec (p i) (q i)) as [E|Ni]; [rewrite E; lra|apply Rlt_le, M; assumption].
Qed.
(** claim integrand-sign. So it is positive all the way if and only if the rise of A is at least KL(q || p). *)
Theorem integrand_positive n p q k : (forall i, (i < n)%nat -> 0 < p i) -> (forall i, (i < n)%nat -> 0 < q i) ->
  (k < n)%nat -> p k <> q k ->
  (forall t, 0 < t <= 1 -> 0 < Sum n (fun i => (q i - p i) * ln (p i + t * (q i - p i)))) <->
  Sum n (fun i => q i * ln (q i / p i)) <= A n q - A n p.
Proof.
  intros P Q Hk N. destruct (integrand_ends n p q P Q) as [Z _].
  set (g := fun t => Sum n (fun i => (q i - p i) * ln (p i + t * (q i - p i)))).
  assert (G : g 0 = Sum n (fun i => (q i - p i) * ln (p i))) by (apply Sum_ext; intros; rewrite Rmult_0_l, Rplus_0_r; reflexivity).
  rewrite <- G in Z. split; intro H.
  - destruct (Rle_dec 0 (g 0)) as [|L]; [lra|exfalso]. apply Rnot_le_lt in L.
    assert (D : is_derive g 0 (Sum n (fun i => (q i - p i) * ((q i - p i) / p i)))).
    { apply (is_derive_Sum n (fun i t => (q i - p i) * ln (p i + t * (q i - p i)))). intros i Hi. specialize (P i Hi).
      auto_derive; [lra|field; lra]. }
    destruct (ex_derive_continuous g 0 (ex_intro _ _ D) _ (open_lt 0 (g 0) L)) as [d Hd].
    pose proof (cond_pos d). pose proof (Rmin_l (d / 2) 1). pose proof (Rmin_r (d / 2) 1).
    assert (0 < Rmin (d / 2) 1) by (apply Rmin_glb_lt; lra).
    apply (Rlt_asym 0 (g (Rmin (d / 2) 1))); [apply H; lra|apply Hd].
    change (Rabs (Rmin (d / 2) 1 - 0) < d). rewrite Rminus_0_r, Rabs_right; lra.
  - intros t T. apply Rle_lt_trans with (g 0); [lra|].
    exact (integrand_increases n p q k 0 t P Q Hk N (Rle_refl 0) (proj1 T) (proj2 T)).
Qed.
(** claim integrand-sign. From (.2, .8) to (.9, .1) A rises by 0.17532, and the integrand begins below 0: at
    -0.970, which is -0.980 where the segment is measured by its length, 0.7 times the root of 2. *)
Theorem integrand_negative : let p := two 0.2 0.8 in let q := two 0.9 0.1 in
  Rabs (A 2 q - A 2 p - 0.17532) <= 5e-6 /\ Rabs (Sum 2 (fun i => (q i - p i) * ln (p i)) / (0.7 * sqrt 2) + 0.980) <= 5e-4.
Proof. unfold A, two; simpl. split; rewrite ?Rplus_0_l; interval with (i_prec 60). Qed.
(** claim integrand-sign. It vanishes at 3/7 of the way. *)
Theorem integrand_zero : let p := two 0.2 0.8 in let q := two 0.9 0.1 in
  Sum 2 (fun i => (q i - p i) * ln (p i + 3 / 7 * (q i - p i))) = 0.
Proof.
  unfold two; simpl. replace (0.2 + 3 / 7 * (0.9 - 0.2)) with (/ 2) by lra. replace (0.8 + 3 / 7 * (0.1 - 0.8)) with (/ 2) by lra. lra.
Qed.
(** The pairs of the chapter, at eps = 0.01. *)
Definition steep := three 0.772 0.114 0.114.
Definition steep' := three 0.76 0.12 0.12.
Definition halves := three 0.5 0.5 0.
Definition four_a := four 0.002 0.55 0.418 0.03.
Definition four_b := four 0.079 0 0.246 0.675.
Ltac certify := unfold A, B, C, steep, steep', halves, four_a, four_b, three, four; simpl Sum; cbv iota beta;
  rewrite ?Rmult_0_l, ?Rplus_0_l; interval with (i_prec 60).
(** claim order-flips. (.772, .114, .114) against (.5, .5, 0) flips both. *)
Theorem flip_both : A 3 steep < A 3 halves /\ B 3 0.01 halves < B 3 0.01 steep /\ C 3 0.01 halves < C 3 0.01 steep.
Proof. repeat split; certify. Qed.
(** claim order-flips. (.76, .12, .12) against the same flips C and not B. *)
Theorem flip_C : A 3 steep' < A 3 halves /\ B 3 0.01 steep' < B 3 0.01 halves /\ C 3 0.01 halves < C 3 0.01 steep'.
Proof. repeat split; certify. Qed.
(** claim order-flips. (.002, .55, .418, .03) against (.079, 0, .246, .675) flips B and not C. *)
Theorem flip_B : A 4 four_a < A 4 four_b /\ B 4 0.01 four_b < B 4 0.01 four_a /\ C 4 0.01 four_a < C 4 0.01 four_b.
Proof. repeat split; certify. Qed.
(* Near every law with three distinct positive entries. The slope d of a summand, against ln x, lies
   strictly above its tangent: its derivative by ln x is rho, which increases. *)
Lemma slope_above (d rho : R -> R) x y : (forall u, 0 < u -> is_derive d u (rho u / u)) ->
  (forall s t, 0 < s -> s < t -> rho s < rho t) -> 0 < x -> 0 < y -> x <> y -> rho y * (ln x - ln y) < d x - d y.
Proof.
  intros D M Hx Hy N. set (h := fun u => d u - rho y * ln u).
  assert (Dh : forall u, 0 < u -> is_derive h u ((rho u - rho y) / u)).
  { intros u Hu. apply (is_derive_ext (fun u => minus (d u) (scal (rho y) (ln u)))); [reflexivity|].
    replace ((rho u - rho y) / u) with (minus (rho u / u) (scal (rho y) (/ u)))
      by (unfold minus, plus, opp, scal; simpl; unfold mult; simpl; field; lra).
    apply (is_derive_minus (V := R_NormedModule) d); [apply D, Hu|]. apply is_derive_scal. auto_derive; [lra|field; lra]. }
  assert (V : forall a b, 0 < a -> 0 < b -> exists c, Rmin a b <= c <= Rmax a b /\ h b - h a = (rho c - rho y) / c * (b - a)).
  { intros a b Ha Hb. destruct (MVT_gen h a b (fun u => (rho u - rho y) / u)) as [c C1]; [| |exists c; exact C1].
    - intros t [Ht _]. apply Dh. apply Rlt_trans with (Rmin a b); [apply Rmin_glb_lt; assumption|exact Ht].
    - intros t [Ht _]. apply continuity_pt_filterlim, (ex_derive_continuous h). eexists. apply Dh.
      apply Rlt_le_trans with (Rmin a b); [apply Rmin_glb_lt; assumption|exact Ht]. }
  cut (h y < h x); [unfold h; lra|]. set (m := (x + y) / 2).
  destruct (V y m Hy ltac:(unfold m; lra)) as [c1 [B1 E1]]. destruct (V m x ltac:(unfold m; lra) Hx) as [c2 [B2 E2]].
  destruct (Rlt_le_dec x y) as [L|L].
  - rewrite Rmin_right, Rmax_left in B1 by (unfold m; lra). rewrite Rmin_right, Rmax_left in B2 by (unfold m; lra).
    assert (0 < c2) by lra. assert (0 < c1) by (unfold m in *; lra). assert (I1 : 0 < / c1) by (apply Rinv_0_lt_compat; lra). assert (I2 : 0 < / c2) by (apply Rinv_0_lt_compat; lra).
    pose proof (M c2 y ltac:(lra) ltac:(unfold m in *; lra)).
    assert (rho c1 <= rho y) by (destruct (Req_dec c1 y) as [->|]; [lra|apply Rlt_le, M; lra]).
    assert (0 < (rho y - rho c2) * / c2 * (m - x)) by (repeat apply Rmult_lt_0_compat; unfold m in *; lra).
    assert (0 <= (rho y - rho c1) * / c1 * (y - m)) by (repeat apply Rmult_le_pos; unfold m in *; lra).
    unfold Rdiv in E1, E2. lra.
  - rewrite Rmin_left, Rmax_right in B1 by (unfold m; lra). rewrite Rmin_left, Rmax_right in B2 by (unfold m; lra).
    assert (0 < c1) by lra. assert (0 < c2) by (unfold m in *; lra). assert (I1 : 0 < / c1) by (apply Rinv_0_lt_compat; lra). assert (I2 : 0 < / c2) by (apply Rinv_0_lt_compat; lra).
    pose proof (M y c2 ltac:(lra) ltac:(unfold m in *; lra)).
    assert (rho y <= rho c1) by (destruct (Req_dec c1 y) as [->|]; [lra|apply Rlt_le, M; lra]).
    assert (0 < (rho c2 - rho y) * / c2 * (x - m)) by (repeat apply Rmult_lt_0_compat; unfold m in *; lra).
    assert (0 <= (rho c1 - rho y) * / c1 * (m - y)) by (repeat apply Rmult_le_pos; unfold m in *; lra).
    unfold Rdiv in E1, E2. lra.
Qed.
Lemma flip_three (f d rho : R -> R) x y z r :
  (forall u w, 0 <= u -> 0 <= w -> f u + d u * (w - u) <= f w) -> (forall u, 0 < u -> is_derive d u (rho u / u)) ->
  (forall s t, 0 < s -> s < t -> rho s < rho t) -> 0 < x -> x < y -> y < z -> 0 < r ->
  let a := ln z - ln y in let c := ln y - ln x in
  exists t, 0 < t < r /\ 0 < a /\ 0 < c /\ 0 < x - t * a /\ 0 < z - t * c /\
    x * ln x + y * ln y + z * ln z < (x - t * a) * ln (x - t * a) + (y + t * (a + c)) * ln (y + t * (a + c)) + (z - t * c) * ln (z - t * c) /\
    f (x - t * a) + f (y + t * (a + c)) + f (z - t * c) < f x + f y + f z.
Proof.
  intros T D M Hx Hxy Hyz Hr a c.
  assert (Ha : 0 < a) by (unfold a; assert (ln y < ln z) by (apply ln_increasing; lra); lra).
  assert (Hc : 0 < c) by (unfold c; assert (ln x < ln y) by (apply ln_increasing; lra); lra).
  set (S := fun t => a * d (x - t * a) - (a + c) * d (y + t * (a + c)) + c * d (z - t * c)).
  assert (S0 : 0 < S 0).
  { unfold S. rewrite !Rmult_0_l, !Rminus_0_r, Rplus_0_r.
    pose proof (slope_above d rho x y D M Hx ltac:(lra) ltac:(lra)) as Q1. pose proof (slope_above d rho z y D M ltac:(lra) ltac:(lra) ltac:(lra)) as Q2.
    fold a in Q2. replace (ln x - ln y) with (- c) in Q1 by (unfold c; ring).
    apply Rmult_lt_compat_l with (r := a) in Q1; [|exact Ha]. apply Rmult_lt_compat_l with (r := c) in Q2; [|exact Hc]. lra. }
  assert (CS : continuous S 0).
  { apply (ex_derive_continuous S). unfold S. auto_derive. repeat split; eexists; apply D; lra. }
  destruct (CS (fun v => 0 < v) (open_gt 0 (S 0) S0)) as [del Hd].
  set (t := Rmin (Rmin (del / 2) (r / 2)) (Rmin (x / (2 * a)) (z / (2 * c)))).
  assert (Ht : 0 < t).
  { unfold t. pose proof (cond_pos del). repeat apply Rmin_glb_lt; try apply Rdiv_lt_0_compat; nra. }
  assert (B1 : t <= del / 2) by (unfold t; eapply Rle_trans; [apply Rmin_l|apply Rmin_l]).
  assert (B2 : t <= r / 2) by (unfold t; eapply Rle_trans; [apply Rmin_l|apply Rmin_r]).
  assert (B3 : t <= x / (2 * a)) by (unfold t; eapply Rle_trans; [apply Rmin_r|apply Rmin_l]).
  assert (B4 : t <= z / (2 * c)) by (unfold t; eapply Rle_trans; [apply Rmin_r|apply Rmin_r]).
  assert (X1 : t * a <= x / 2) by (apply Rmult_le_compat_r with (r := a) in B3; [|lra]; replace (x / (2 * a) * a) with (x / 2) in B3 by (field; lra); exact B3).
  assert (X2 : t * c <= z / 2) by (apply Rmult_le_compat_r with (r := c) in B4; [|lra]; replace (z / (2 * c) * c) with (z / 2) in B4 by (field; lra); exact B4).
  assert (St : 0 < S t).
  { apply Hd. unfold ball; simpl; unfold AbsRing_ball, abs, minus, plus, opp; simpl. rewrite Ropp_0, Rplus_0_r, Rabs_right by lra. pose proof (cond_pos del). lra. }
  exists t. assert (0 < t * a) by nra. assert (0 < t * c) by nra. assert (0 < t * (a + c)) by nra.
  split; [lra|]. split; [exact Ha|]. split; [exact Hc|]. split; [lra|]. split; [lra|]. split.
  - pose proof (xlnx_tangent x (x - t * a) ltac:(lra) ltac:(lra) ltac:(lra)) as K1.
    pose proof (xlnx_tangent y (y + t * (a + c)) ltac:(lra) ltac:(lra) ltac:(lra)) as K2.
    pose proof (xlnx_tangent z (z - t * c) ltac:(lra) ltac:(lra) ltac:(lra)) as K3.
    assert (Z : (ln x + 1) * (x - t * a - x) + (ln y + 1) * (y + t * (a + c) - y) + (ln z + 1) * (z - t * c - z) = 0) by (unfold a, c; ring). lra.
  - pose proof (T (x - t * a) x ltac:(lra) ltac:(lra)) as K1.
    pose proof (T (y + t * (a + c)) y ltac:(lra) ltac:(lra)) as K2.
    pose proof (T (z - t * c) z ltac:(lra) ltac:(lra)) as K3.
    assert (W : 0 < t * S t) by nra. unfold S in W. lra.
Qed.
Definition moved (p : nat -> R) i j k u v w m :=
  if Nat.eqb m i then p m + u else if Nat.eqb m j then p m + v else if Nat.eqb m k then p m + w else p m.
Lemma Sum_moved n (f : nat -> R -> R) p i j k u v w : (i < n)%nat -> (j < n)%nat -> (k < n)%nat -> i <> j -> j <> k -> i <> k ->
  Sum n (fun m => f m (moved p i j k u v w m)) - Sum n (fun m => f m (p m))
  = (f i (p i + u) - f i (p i)) + (f j (p j + v) - f j (p j)) + (f k (p k + w) - f k (p k)).
Proof.
  intros Hi Hj Hk Nij Njk Nik. rewrite <- Sum_minus.
  rewrite <- (Sum_delta n i (fun m => f m (p m + u) - f m (p m)) Hi), <- (Sum_delta n j (fun m => f m (p m + v) - f m (p m)) Hj),
    <- (Sum_delta n k (fun m => f m (p m + w) - f m (p m)) Hk), <- !Sum_plus.
  apply Sum_ext. intros m _. unfold moved.
  destruct (Nat.eqb_spec m i), (Nat.eqb_spec m j), (Nat.eqb_spec m k); subst; try contradiction; ring.
Qed.
(** q has a larger A than p and a smaller F, is nearer to p than r, and the integrand of A is positive on the way. *)
Definition flipped_near n (F : (nat -> R) -> R) p q r :=
  Law n q /\ (forall m, (m < n)%nat -> Rabs (q m - p m) < r) /\ A n p < A n q /\ F q < F p /\
  forall s, 0 < s <= 1 -> 0 < Sum n (fun m => (q m - p m) * ln (p m + s * (q m - p m))).
Lemma flip_near (f d rho : R -> R) n p i j k r :
  (forall u w, 0 <= u -> 0 <= w -> f u + d u * (w - u) <= f w) -> (forall u, 0 < u -> is_derive d u (rho u / u)) ->
  (forall s t, 0 < s -> s < t -> rho s < rho t) -> Law n p -> (i < n)%nat -> (j < n)%nat -> (k < n)%nat ->
  0 < p i -> p i < p j -> p j < p k -> 0 < r -> exists q, flipped_near n (fun p => Sum n (fun m => f (p m))) p q r.
Proof.
  intros T D M [P E] Hi Hj Hk Pi Pij Pjk Hr.
  assert (Nij : i <> j) by (intro; subst; lra). assert (Njk : j <> k) by (intro; subst; lra). assert (Nik : i <> k) by (intro; subst; lra).
  set (a := ln (p k) - ln (p j)). set (c := ln (p j) - ln (p i)).
  assert (Ha : 0 < a) by (unfold a; assert (ln (p j) < ln (p k)) by (apply ln_increasing; lra); lra).
  assert (Hc : 0 < c) by (unfold c; assert (ln (p i) < ln (p j)) by (apply ln_increasing; lra); lra).
  destruct (flip_three f d rho (p i) (p j) (p k) (r / (a + c)) T D M Pi Pij Pjk ltac:(apply Rdiv_lt_0_compat; lra))
    as [t [[Ht Htr] [_ [_ [X1 [X3 [RA RF]]]]]]]. fold a c in X1, X3, RA, RF.
  assert (Tr : t * (a + c) < r).
  { apply Rmult_lt_compat_r with (r := a + c) in Htr; [|lra]. unfold Rdiv in Htr. rewrite Rmult_assoc, Rinv_l in Htr; lra. }
  assert (0 < t * a) by nra. assert (0 < t * c) by nra.
  set (q := moved p i j k (- (t * a)) (t * (a + c)) (- (t * c))). exists q.
  assert (SM : forall g : nat -> R -> R, Sum n (fun m => g m (q m)) - Sum n (fun m => g m (p m))
    = (g i (p i + - (t * a)) - g i (p i)) + (g j (p j + t * (a + c)) - g j (p j)) + (g k (p k + - (t * c)) - g k (p k)))
    by (intro g; apply Sum_moved; assumption).
  split; [split|split; [|split; [|split]]].
  - intros m Hm. pose proof (P m Hm). unfold q, moved.
    destruct (Nat.eqb_spec m i); [subst; lra|]. destruct (Nat.eqb_spec m j); [subst; nra|]. destruct (Nat.eqb_spec m k); subst; lra.
  - pose proof (SM (fun _ u => u)) as Q.
    change (Sum n q - Sum n p = (p i + - (t * a) - p i) + (p j + t * (a + c) - p j) + (p k + - (t * c) - p k)) in Q. lra.
  - intros m _. unfold q, moved. destruct (Nat.eqb m i); [|destruct (Nat.eqb m j); [|destruct (Nat.eqb m k)]]; apply Rabs_def1; lra.
  - pose proof (SM (fun _ u => u * ln u)) as Q. cbv beta in Q. unfold A, Rminus in *. lra.
  - pose proof (SM (fun _ => f)) as Q. cbv beta in Q. unfold Rminus in *. lra.
  - intros s Hs. pose proof (SM (fun m u => (u - p m) * ln (p m + s * (u - p m)))) as Q. cbv beta in Q.
    rewrite (Sum_0 n (fun m => (p m - p m) * ln (p m + s * (p m - p m)))) in Q by (intros; ring). rewrite Rminus_0_r in Q. rewrite Q.
    replace (p i + - (t * a) - p i) with (- (t * a)) by ring. replace (p j + t * (a + c) - p j) with (t * (a + c)) by ring.
    replace (p k + - (t * c) - p k) with (- (t * c)) by ring. rewrite !Rminus_eq_0, !Rmult_0_l, !Rminus_0_r.
    assert (L1 : ln (p i + s * - (t * a)) < ln (p i)) by (apply ln_increasing; nra).
    assert (L2 : ln (p j) < ln (p j + s * (t * (a + c)))) by (apply ln_increasing; nra).
    assert (L3 : ln (p k + s * - (t * c)) < ln (p k)) by (apply ln_increasing; nra).
    assert (Z : - (t * a) * ln (p i) + t * (a + c) * ln (p j) + - (t * c) * ln (p k) = 0) by (unfold a, c; ring).
    assert (0 < t * (a + c)) by nra. nra.
Qed.
Lemma sigma_increases e s t : 0 < e -> 0 < s -> s < t -> s / (s + e) < t / (t + e).
Proof.
  intros He Hs Hst. apply Rmult_lt_reg_r with ((s + e) * (t + e)); [nra|].
  replace (s / (s + e) * ((s + e) * (t + e))) with (s * (t + e)) by (field; lra).
  replace (t / (t + e) * ((s + e) * (t + e))) with (t * (s + e)) by (field; lra). nra.
Qed.
(** claim order-none. Near every law with three distinct positive entries some pairs are flipped by C. *)
Theorem flip_near_C n e p i j k r : 0 < e -> Law n p -> (i < n)%nat -> (j < n)%nat -> (k < n)%nat ->
  0 < p i -> p i < p j -> p j < p k -> 0 < r -> exists q, flipped_near n (C n e) p q r.
Proof.
  intro He. apply (flip_near (fC e) (dC e) (fun u => u / (u + e))).
  - intros; apply fC_tangent; assumption.
  - intros u Hu. unfold dC. auto_derive; [lra|field; lra].
  - intros; apply sigma_increases; assumption.
Qed.
(** claim order-none. And by B. *)
Theorem flip_near_B n e p i j k r : 0 < e -> Law n p -> (i < n)%nat -> (j < n)%nat -> (k < n)%nat ->
  0 < p i -> p i < p j -> p j < p k -> 0 < r -> exists q, flipped_near n (B n e) p q r.
Proof.
  intro He. apply (flip_near (fB e) (dB e) (fun u => u / (u + e) * (2 - u / (u + e)))).
  - intros; apply fB_tangent; assumption.
  - intros u Hu. unfold dB. auto_derive; [repeat split; lra|field; lra].
  - intros s t Hs Hst. pose proof (sigma_increases e s t He Hs Hst).
    assert (t / (t + e) < 1) by (apply Rmult_lt_reg_r with (t + e); [lra|unfold Rdiv; rewrite Rmult_assoc, Rinv_l; lra]). nra.
Qed.
(** claim order-none. For n >= 3 no eps keeps the order of all pairs by C. *)
Theorem no_eps_C n e : (3 <= n)%nat -> 0 < e -> exists p q, Law n p /\ Law n q /\ A n p < A n q /\ C n e q < C n e p.
Proof.
  intros Hn He. assert (L : Law n (three (1/7) (2/7) (4/7))) by (apply three_law; try assumption; lra).
  destruct (flip_near_C n e _ 0 1 2 1 He L) as [q [Q [_ [RA [RF _]]]]]; try lia; simpl three; try lra.
  exists (three (1/7) (2/7) (4/7)), q. auto.
Qed.
(** claim order-none. Nor by B. *)
Theorem no_eps_B n e : (3 <= n)%nat -> 0 < e -> exists p q, Law n p /\ Law n q /\ A n p < A n q /\ B n e q < B n e p.
Proof.
  intros Hn He. assert (L : Law n (three (1/7) (2/7) (4/7))) by (apply three_law; try assumption; lra).
  destruct (flip_near_B n e _ 0 1 2 1 He L) as [q [Q [_ [RA [RF _]]]]]; try lia; simpl three; try lra.
  exists (three (1/7) (2/7) (4/7)), q. auto.
Qed.

From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common certify.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

(** The matrix diag(y) - y y'. *)
Definition J (y : nat -> R) i k := y i * ((if Nat.eqb i k then 1 else 0) - y k).
(** v'Jv. *)
Definition quad n y v := Sum n (fun i => Sum n (fun k => v i * J y i k * v k)).
(** The variance of v under y. *)
Definition Var n y v := Sum n (fun i => y i * (v i - Mean n y v) ^ 2).

Lemma Z_derive n z k : (k < n)%nat -> is_derive (fun t => Sum n (fun j => exp (upd z k t j))) (z k) (exp (z k)).
Proof.
  intro Hk. rewrite <- (Sum_delta n k (fun j => exp (z k)) Hk).
  apply (is_derive_Sum n (fun j t => exp (upd z k t j))). intros j _. unfold upd.
  destruct (Nat.eqb_spec j k); [subst; auto_derive; [trivial|ring]|auto_derive; [trivial|ring]].
Qed.
(** claim softmax-jacobian. The derivative of the i-th weight by the k-th logit is y_i (delta_ik - y_k). *)
Theorem softmax_derivative n z i k : (k < n)%nat -> (i < n)%nat ->
  is_derive (fun t => softmax n (upd z k t) i) (z k) (J (softmax n z) i k).
Proof.
  intros Hk Hi. pose proof (Z_pos n z ltac:(lia)) as P.
  assert (ZU : Sum n (fun j => exp (upd z k (z k) j)) = Sum n (fun j => exp (z j)))
    by (apply Sum_ext; intros; rewrite upd_same; reflexivity).
  assert (D : is_derive (fun t => exp (upd z k t i)) (z k) (if Nat.eqb i k then exp (z k) else 0)).
  { unfold upd. destruct (Nat.eqb_spec i k); auto_derive; trivial; ring. }
  unfold J, softmax. set (Z := Sum n (fun j => exp (z j))) in *.
  replace (exp (z i) / Z * ((if Nat.eqb i k then 1 else 0) - exp (z k) / Z))
    with (((if Nat.eqb i k then exp (z k) else 0) * Z - exp (z i) * exp (z k)) / Z ^ 2).
  2:{ destruct (Nat.eqb_spec i k); subst; field; lra. }
  pose proof (is_derive_div (fun t => exp (upd z k t i)) (fun t => Sum n (fun j => exp (upd z k t j)))
    (z k) _ _ D (Z_derive n z k Hk)) as Q.
  cbv beta in Q. rewrite ZU, upd_same in Q. apply Q. lra.
Qed.
(** claim softmax-jacobian. J is symmetric. *)
Theorem J_symmetric y i k : J y i k = J y k i.
Proof. unfold J. rewrite (Nat.eqb_sym k i). destruct (Nat.eqb_spec i k); subst; ring. Qed.
(** claim softmax-jacobian. The trace of J is 1 minus the sum of the squared weights. *)
Theorem J_trace n y : Sum n y = 1 -> Sum n (fun i => J y i i) = 1 - Sum n (fun i => y i ^ 2).
Proof.
  intro E. rewrite <- E, <- Sum_minus. apply Sum_ext. intros. unfold J. rewrite Nat.eqb_refl. ring.
Qed.
(** claim softmax-jacobian. Jg = y (g - <g, y>), entry by entry. *)
Theorem J_apply n y g i : (i < n)%nat -> Sum n (fun k => J y i k * g k) = y i * (g i - Mean n y g).
Proof.
  intro Hi. unfold Mean. rewrite <- (Sum_delta n i g Hi), <- Sum_minus, <- Sum_scal.
  apply Sum_ext. intros k _. unfold J. rewrite (Nat.eqb_sym k i). destruct (Nat.eqb i k); ring.
Qed.
Lemma quad_form n y v : quad n y v = Sum n (fun i => y i * v i ^ 2) - Mean n y v ^ 2.
Proof.
  unfold quad.
  transitivity (Sum n (fun i => y i * v i ^ 2 - (y i * v i) * Mean n y v)).
  - apply Sum_ext. intros i Hi. unfold Mean. rewrite <- Sum_scal.
    rewrite <- (Sum_delta n i (fun k => y k * v k ^ 2) Hi), <- Sum_minus.
    apply Sum_ext. intros k Hk. unfold J. rewrite (Nat.eqb_sym i k).
    destruct (Nat.eqb_spec k i); subst; ring.
  - rewrite Sum_minus, Sum_scal_r. unfold Mean. ring.
Qed.
(** claim softmax-jacobian. J times the vector of ones is 0. *)
Theorem J_ones n y i : Sum n y = 1 -> (i < n)%nat -> Sum n (fun k => J y i k) = 0.
Proof.
  intros E Hi. unfold J. rewrite Sum_scal, Sum_minus, E.
  rewrite (Sum_ext n (fun k => if Nat.eqb i k then 1 else 0) (fun k => if Nat.eqb k i then (fun _ => 1) k else 0)).
  - rewrite Sum_delta; [ring|exact Hi].
  - intros. rewrite Nat.eqb_sym. reflexivity.
Qed.
(** claim softmax-lipschitz. v'Jv is the variance of v under y. *)
Theorem J_variance n y v : Sum n y = 1 -> quad n y v = Var n y v.
Proof.
  intro E. rewrite quad_form. unfold Var. set (m := Mean n y v).
  rewrite (Sum_ext n (fun i => y i * (v i - m) ^ 2) (fun i => y i * v i ^ 2 - 2 * m * (y i * v i) + m ^ 2 * y i)) by (intros; ring).
  rewrite Sum_plus, Sum_minus, !Sum_scal, E. fold (Mean n y v). fold m. ring.
Qed.
(** claim softmax-jacobian. v'Jv is not negative. *)
Theorem J_nonneg n y v : Law n y -> 0 <= quad n y v.
Proof.
  intros [P E]. rewrite J_variance by exact E. apply Sum_nonneg. intros i Hi.
  apply Rmult_le_pos; [apply P, Hi|apply pow2_ge_0].
Qed.
Lemma pairs_minus n y v : Sum n y = 1 ->
  2 * (Sum n (fun i => y i * v i ^ 2) + Mean n y v ^ 2) = Sum n (fun i => Sum n (fun k => y i * y k * (v i + v k) ^ 2)).
Proof.
  intro E. symmetry.
  transitivity (Sum n (fun i => y i * v i ^ 2 + 2 * (y i * v i) * Mean n y v + y i * Sum n (fun k => y k * v k ^ 2))).
  - apply Sum_ext. intros i Hi.
    rewrite (Sum_ext n _ (fun k => (y i * v i ^ 2) * y k + 2 * (y i * v i) * (y k * v k) + y i * (y k * v k ^ 2))) by (intros; ring).
    rewrite !Sum_plus, !Sum_scal, E. unfold Mean. ring.
  - rewrite !Sum_plus, !Sum_scal_r, Sum_scal, E. unfold Mean. ring.
Qed.
(** claim softmax-lipschitz. v'Jv is at most the sum of 2 y_i (1 - y_i) v_i^2, so at most
    2 max y_i (1 - y_i) times |v|^2: the upper bound from the diagonal. *)
Theorem J_below_diagonal n y v : Law n y -> quad n y v <= Sum n (fun i => 2 * (y i * (1 - y i)) * v i ^ 2).
Proof.
  intros [P E]. rewrite quad_form.
  pose proof (pairs_minus n y v E) as Q.
  assert (D : Sum n (fun i => 4 * (y i ^ 2 * v i ^ 2)) <= Sum n (fun i => Sum n (fun k => y i * y k * (v i + v k) ^ 2))).
  { apply Sum_le. intros i Hi.
    apply Rle_trans with ((fun k => y i * y k * (v i + v k) ^ 2) i); [right; ring|].
    apply (Sum_term n (fun k => y i * y k * (v i + v k) ^ 2)); [exact Hi|]. intros k Hk.
    apply Rmult_le_pos; [apply Rmult_le_pos; apply P; assumption|apply pow2_ge_0]. }
  rewrite Sum_scal in D.
  rewrite (Sum_ext n (fun i => 2 * (y i * (1 - y i)) * v i ^ 2) (fun i => 2 * (y i * v i ^ 2) - 2 * (y i ^ 2 * v i ^ 2))) by (intros; ring).
  rewrite Sum_minus, !Sum_scal. lra.
Qed.
(** claim softmax-lipschitz. v'Jv is at most the largest weight times |v|^2. *)
Theorem J_below_max n y v M : Sum n y = 1 -> (forall i, (i < n)%nat -> y i <= M) -> quad n y v <= M * dot n v v.
Proof.
  intros E B. rewrite quad_form. apply Rle_trans with (Sum n (fun i => y i * v i ^ 2)).
  - pose proof (pow2_ge_0 (Mean n y v)). lra.
  - unfold dot. rewrite <- Sum_scal. apply Sum_le. intros i Hi. pose proof (B i Hi). pose proof (pow2_ge_0 (v i)). nra.
Qed.
(** claim softmax-lipschitz. v'Jv is at most half of |v|^2. *)
Theorem J_half n y v : Law n y -> quad n y v <= / 2 * dot n v v.
Proof.
  intro L. eapply Rle_trans; [apply J_below_diagonal, L|].
  unfold dot. rewrite <- Sum_scal. apply Sum_le. intros i Hi.
  assert (y i * (1 - y i) <= / 4) by (pose proof (pow2_ge_0 (y i - / 2)); lra).
  pose proof (pow2_ge_0 (v i)). nra.
Qed.
(** claim softmax-jacobian. Where all weights are positive, v'Jv = 0 only for constant v. *)
Theorem J_kernel n y v : Law n y -> (forall i, (i < n)%nat -> 0 < y i) -> quad n y v = 0 ->
  forall i, (i < n)%nat -> v i = Mean n y v.
Proof.
  intros [_ E] P Q i Hi. rewrite J_variance in Q by exact E.
  assert (T : y i * (v i - Mean n y v) ^ 2 = 0).
  { apply (Sum_0_inv n (fun i => y i * (v i - Mean n y v) ^ 2)); [|exact Q|exact Hi].
    intros j Hj. apply Rmult_le_pos; [apply Rlt_le, P, Hj|apply pow2_ge_0]. }
  pose proof (P i Hi). apply Rmult_integral in T. destruct T as [T|T]; [lra|].
  assert (v i - Mean n y v = 0) by (apply Rsqr_0_uniq; unfold Rsqr; lra). lra.
Qed.
(** claim softmax-lipschitz. At a unit vector v'Jv is y_i (1 - y_i): the lower bound from the diagonal. *)
Theorem J_diagonal n y i : (i < n)%nat -> quad n y (fun k => if Nat.eqb k i then 1 else 0) = y i * (1 - y i).
Proof.
  intro Hi. unfold quad. transitivity (Sum n (fun j => if Nat.eqb j i then J y i i else 0)).
  - apply Sum_ext. intros j _. destruct (Nat.eqb_spec j i); [subst|apply Sum_0; intros; ring].
    rewrite <- (Sum_delta n i (fun k => J y i k) Hi). apply Sum_ext. intros k _. destruct (Nat.eqb k i); ring.
  - rewrite (Sum_delta n i (fun j => J y i i) Hi). unfold J. rewrite Nat.eqb_refl. ring.
Qed.
(** claim softmax-lipschitz. The variance is at most a quarter of the squared range. *)
Theorem J_range n y v lo hi : Law n y -> (forall i, (i < n)%nat -> lo <= v i <= hi) ->
  quad n y v <= / 4 * (hi - lo) ^ 2.
Proof.
  intros [P E] B. rewrite J_variance by exact E. unfold Var. set (m := Mean n y v). set (c := (lo + hi) / 2).
  apply Rle_trans with (Sum n (fun i => y i * (v i - m) ^ 2) + (m - c) ^ 2).
  { pose proof (pow2_ge_0 (m - c)). lra. }
  replace (Sum n (fun i => y i * (v i - m) ^ 2) + (m - c) ^ 2) with (Sum n (fun i => y i * (v i - c) ^ 2)).
  - apply Rle_trans with (Sum n (fun i => y i * (/ 4 * (hi - lo) ^ 2))).
    + apply Sum_le. intros i Hi. apply Rmult_le_compat_l; [apply P, Hi|]. specialize (B i Hi). unfold c. nra.
    + rewrite Sum_scal_r, E. lra.
  - rewrite (Sum_ext n (fun i => y i * (v i - c) ^ 2)
      (fun i => y i * (v i - m) ^ 2 + (2 * (m - c) * (y i * v i) + (c ^ 2 - m ^ 2) * y i))) by (intros; ring).
    rewrite Sum_plus, (Sum_plus n (fun i => 2 * (m - c) * (y i * v i))), !Sum_scal, E.
    fold (Mean n y v). fold m. ring.
Qed.
(** claim softmax-overflow. A constant added to all logits changes no weight. *)
Theorem softmax_shift n z c i : softmax n (fun j => z j + c) i = softmax n z i.
Proof.
  unfold softmax. rewrite (Sum_ext n (fun j => exp (z j + c)) (fun j => exp (z j) * exp c)) by (intros; apply exp_plus).
  rewrite Sum_scal_r, exp_plus. unfold Rdiv. rewrite Rinv_mult. pose proof (exp_pos c) as P.
  replace (exp (z i) * exp c * (/ Sum n (fun j => exp (z j)) * / exp c))
    with (exp (z i) * / Sum n (fun j => exp (z j)) * (exp c * / exp c)) by ring.
  rewrite Rinv_r by lra. ring.
Qed.
(** claim softmax-magnitude. Equal logits have equal weights. *)
Theorem softmax_equal n z i j : z i = z j -> softmax n z i = softmax n z j.
Proof. intro E. unfold softmax. rewrite E. reflexivity. Qed.
(** The number of entries that are M. *)
Definition count n (z : nat -> R) M := Sum n (fun i => if Req_EM_T (z i) M then 1 else 0).
(** What the entries below M get of softmax. *)
Definition rest n (z : nat -> R) M b := Sum n (fun i => if Req_EM_T (z i) M then 0 else softmax n (fun j => b * z j) i).

Lemma count_ge1 n z M : is_max n z M -> 1 <= count n z M.
Proof.
  intros [[i0 [Hi0 E0]] _]. unfold count.
  apply Rle_trans with ((fun i => if Req_EM_T (z i) M then 1 else 0) i0).
  - cbv beta. destruct (Req_EM_T (z i0) M); [lra|contradiction].
  - apply (Sum_term n (fun i => if Req_EM_T (z i) M then 1 else 0)); [exact Hi0|]. intros i _. destruct (Req_EM_T (z i) M); lra.
Qed.
(** claim softmax-magnitude. With a gap D below the maximum M, and an entry that is below it, the
    entries below get less than (n - m) / m exp(-bD), where m entries are M. *)
Theorem softmax_sharp n b z M D j : 0 < b -> 0 < D -> is_max n z M ->
  (forall i, (i < n)%nat -> z i = M \/ z i <= M - D) -> (j < n)%nat -> z j <> M ->
  rest n z M b < (INR n - count n z M) / count n z M * exp (- b * D).
Proof.
  intros Hb HD Mx G Hj Nj. pose proof (count_ge1 n z M Mx) as M1. set (m := count n z M) in *. unfold rest.
  set (Z := Sum n (fun j => exp (b * z j))).
  assert (ZL : m * exp (b * M) < Z).
  { unfold m, count. rewrite <- Sum_scal_r. apply (Sum_lt n _ _ j Hj).
    - intros i _. destruct (Req_EM_T (z i) M) as [e|e]; [rewrite e; lra|pose proof (exp_pos (b * z i)); lra].
    - cbv beta. destruct (Req_EM_T (z j) M) as [e|e]; [contradiction|pose proof (exp_pos (b * z j)); lra]. }
  assert (PM : 0 < exp (b * M)) by apply exp_pos. assert (PZ : 0 < Z) by nra.
  assert (T : forall i, (i < n)%nat -> z i <> M -> softmax n (fun j => b * z j) i < (1 - 0) * (exp (- b * D) / m)).
  { intros i Hi N. destruct (G i Hi) as [F|F]; [contradiction|]. unfold softmax. fold Z.
    apply Rmult_lt_reg_r with (Z * m); [nra|].
    replace (exp (b * z i) / Z * (Z * m)) with (exp (b * z i) * m) by (field; lra).
    replace ((1 - 0) * (exp (- b * D) / m) * (Z * m)) with (exp (- b * D) * Z) by (field; lra).
    apply Rle_lt_trans with (exp (- b * D) * (m * exp (b * M))); [|apply Rmult_lt_compat_l; [apply exp_pos|exact ZL]].
    replace (exp (- b * D) * (m * exp (b * M))) with (exp (b * (M - D)) * m) by (replace (b * (M - D)) with (- b * D + b * M) by ring; rewrite exp_plus; ring).
    apply Rmult_le_compat_r; [lra|]. destruct F as [F|F]; [apply Rlt_le, exp_increasing; nra|rewrite F; lra]. }
  apply Rlt_le_trans with (Sum n (fun i => (1 - if Req_EM_T (z i) M then 1 else 0) * (exp (- b * D) / m))).
  - apply (Sum_lt n _ _ j Hj).
    + intros i Hi. destruct (Req_EM_T (z i) M) as [e|e]; [lra|]. apply Rlt_le, T; assumption.
    + cbv beta. destruct (Req_EM_T (z j) M) as [e|e]; [contradiction|]. apply T; assumption.
  - rewrite Sum_scal_r, Sum_minus, Sum_const. fold (count n z M). fold m. right. field. lra.
Qed.
(** claim softmax-magnitude. What the leaders share: m times the weight of each is 1 minus what the others get. *)
Theorem softmax_leaders n b z M i : (i < n)%nat -> z i = M ->
  count n z M * softmax n (fun j => b * z j) i = 1 - rest n z M b.
Proof.
  intros Hi E. destruct (softmax_law n (fun j => b * z j) ltac:(lia)) as [_ E1]. rewrite <- E1. unfold rest, count.
  rewrite <- Sum_minus, <- Sum_scal_r. apply Sum_ext. intros j Hj. destruct (Req_EM_T (z j) M) as [F|F]; [|ring].
  rewrite (softmax_equal n (fun j => b * z j) i j) by (rewrite E, F; reflexivity). ring.
Qed.
(** claim softmax-magnitude. One leader with a gap D to n others that are equal has the weight 1 / (1 + n exp(-D)). *)
Theorem softmax_leader n a D : softmax (S n) (fun i => if Nat.eqb i n then a + D else a) n = 1 / (1 + INR n * exp (- D)).
Proof.
  unfold softmax. simpl Sum. rewrite Nat.eqb_refl. rewrite (Sum_ext n _ (fun _ => exp a)).
  - rewrite Sum_const, exp_plus, exp_Ropp. pose proof (exp_pos a). pose proof (exp_pos D). pose proof (pos_INR n).
    field. split; [|split]; nra.
  - intros i Hi. destruct (Nat.eqb_spec i n); [lia|]. reflexivity.
Qed.
(** The input [a, a, 2a]. *)
Definition aa2a (a : R) (i : nat) := match i with O => a | S O => a | _ => 2 * a end.
(** claim softmax-example. The third weight of [a, a, 2a] is 1 / (1 + 2 exp(-a)). *)
Theorem example_weight a : softmax 3 (aa2a a) 2 = 1 / (1 + 2 * exp (- a)).
Proof.
  unfold softmax, aa2a; simpl Sum. cbv iota. replace (2 * a) with (a + a) by ring.
  rewrite exp_plus, exp_Ropp. pose proof (exp_pos a). field. split; nra.
Qed.
(** claim softmax-example. At a = 1 the number of the note is right to half a unit in its last digit. *)
Theorem example_1 : Rabs (softmax 3 (aa2a 1) 2 - 0.5761168847658291) <= 5e-17.
Proof. rewrite example_weight. interval with (i_prec 80). Qed.
(** claim softmax-example. At a = 10 the number of the note is too high by 2.22e-16, to these digits: two units
    of 1.11e-16. *)
Theorem example_10 : Rabs (0.9999092083843412 - softmax 3 (aa2a 10) 2 - 2.22e-16) <= 5e-19.
Proof. rewrite example_weight. interval with (i_prec 80). Qed.
(** claim softmax-example. At a = 100 the weight is 1 - 7.44e-44, to these digits. *)
Theorem example_100 : Rabs (1 - softmax 3 (aa2a 100) 2 - 7.44e-44) <= 5e-47.
Proof. rewrite example_weight. interval with (i_prec 250). Qed.

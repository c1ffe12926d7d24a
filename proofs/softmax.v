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
(** The vector Jv. *)
Definition apply_J n y v i := Sum n (fun k => J y i k * v k).
Lemma dot_J n y u v : dot n u (apply_J n y v) = Sum n (fun i => y i * u i * v i) - Mean n y u * Mean n y v.
Proof.
  unfold dot, apply_J. rewrite (Sum_ext n _ (fun i => y i * u i * v i - y i * u i * Mean n y v)).
  - rewrite Sum_minus, Sum_scal_r. reflexivity.
  - intros i Hi. rewrite J_apply by exact Hi. ring.
Qed.
Lemma quad_dot n y v : quad n y v = dot n v (apply_J n y v).
Proof. rewrite quad_form, dot_J. simpl. rewrite Rmult_1_r. f_equal. apply Sum_ext. intros. ring. Qed.
Lemma J_cauchy n y u v : Law n y -> dot n u (apply_J n y v) ^ 2 <= quad n y u * quad n y v.
Proof.
  intro L. rewrite (Rmult_comm (quad n y u)). apply discriminant; [apply J_nonneg, L|]. intro t.
  replace (quad n y v * t ^ 2 + 2 * dot n u (apply_J n y v) * t + quad n y u) with (quad n y (fun i => u i + t * v i)); [apply J_nonneg, L|].
  rewrite !quad_dot, !dot_J. unfold Mean.
  rewrite (Sum_ext n (fun i => y i * (u i + t * v i)) (fun i => y i * u i + t * (y i * v i))) by (intros; ring).
  rewrite (Sum_ext n (fun i => y i * (u i + t * v i) * (u i + t * v i))
    (fun i => t ^ 2 * (y i * v i * v i) + 2 * t * (y i * u i * v i) + y i * u i * u i)) by (intros; ring).
  rewrite !Sum_plus, !Sum_scal. ring.
Qed.
(** l is an eigenvalue of J. *)
Definition eigenvalue n y l := exists v, (exists i, (i < n)%nat /\ v i <> 0) /\ forall i, (i < n)%nat -> apply_J n y v i = l * v i.
(** claim softmax-lipschitz. What bounds v'Jv by c |v|^2 bounds every eigenvalue by c. *)
Theorem eigenvalue_below n y c l : (forall v, quad n y v <= c * dot n v v) -> eigenvalue n y l -> l <= c.
Proof.
  intros H [v [N E]]. pose proof (dot_positive n v N) as P. pose proof (H v) as Q. rewrite quad_dot in Q.
  replace (dot n v (apply_J n y v)) with (l * dot n v v) in Q.
  - apply Rmult_le_reg_r with (dot n v v); assumption.
  - unfold dot. rewrite <- Sum_scal. apply Sum_ext. intros i Hi. rewrite E by exact Hi. ring.
Qed.
(** claim softmax-lipschitz. v'Jv is at most 2 (1 - y_a) |v|^2 for every a. *)
Theorem J_decided n y v a : Law n y -> (a < n)%nat -> quad n y v <= 2 * (1 - y a) * dot n v v.
Proof.
  intros [P E] Ha. rewrite J_variance by exact E.
  apply Rle_trans with (Sum n (fun i => y i * (v i - v a) ^ 2)).
  { unfold Var. set (m := Mean n y v).
    replace (Sum n (fun i => y i * (v i - v a) ^ 2)) with (Sum n (fun i => y i * (v i - m) ^ 2) + (m - v a) ^ 2);
      [pose proof (pow2_ge_0 (m - v a)); lra|].
    rewrite (Sum_ext n (fun i => y i * (v i - v a) ^ 2)
      (fun i => y i * (v i - m) ^ 2 + (2 * (m - v a) * (y i * v i) + (v a ^ 2 - m ^ 2) * y i))) by (intros; ring).
    rewrite Sum_plus, (Sum_plus n (fun i => 2 * (m - v a) * (y i * v i))), !Sum_scal, E. fold (Mean n y v). fold m. ring. }
  rewrite <- E, <- (Sum_delta n a y Ha), <- Sum_minus.
  replace (2 * Sum n (fun i => y i - (if Nat.eqb i a then y i else 0)) * dot n v v)
    with (Sum n (fun i => (y i - (if Nat.eqb i a then y i else 0)) * (2 * dot n v v))) by (rewrite Sum_scal_r; ring).
  apply Sum_le. intros i Hi. destruct (Nat.eqb_spec i a) as [->|N]; [right; ring|].
  rewrite Rminus_0_r. apply Rmult_le_compat_l; [apply P, Hi|].
  assert (v i * v i + v a * v a <= dot n v v).
  { unfold dot. rewrite <- (Sum_delta n i (fun k => v k * v k) Hi), <- (Sum_delta n a (fun k => v k * v k) Ha), <- Sum_plus.
    apply Sum_le. intros k _. pose proof (Rle_0_sqr (v k)). unfold Rsqr in *. destruct (Nat.eqb_spec k i) as [F|F], (Nat.eqb_spec k a) as [G|G]; try (exfalso; apply N; congruence); lra. }
  pose proof (pow2_ge_0 (v i + v a)). nra.
Qed.
(** claim softmax-lipschitz. With two positive weights y_b <= y_a some v that is not 0 has v'Jv >= y_b |v|^2: the
    largest value of v'Jv / |v|^2 is at least the second largest weight. *)
Theorem J_second n y a b : (a < n)%nat -> (b < n)%nat -> a <> b -> 0 < y b -> y b <= y a ->
  exists v, 0 < dot n v v /\ y b * dot n v v <= quad n y v.
Proof.
  intros Ha Hb N Pb L. set (v := fun i => (if Nat.eqb i a then y b else 0) - (if Nat.eqb i b then y a else 0)).
  assert (S : forall f, Sum n (fun i => f i * v i) = f a * y b - f b * y a).
  { intro f. rewrite <- (Sum_delta n a (fun i => f i * y b) Ha), <- (Sum_delta n b (fun i => f i * y a) Hb), <- Sum_minus.
    apply Sum_ext. intros i _. unfold v. destruct (Nat.eqb i a), (Nat.eqb i b); ring. }
  assert (Va : v a = y b) by (unfold v; rewrite Nat.eqb_refl; destruct (Nat.eqb_spec a b); [contradiction|ring]).
  assert (Vb : v b = - y a) by (unfold v; rewrite Nat.eqb_refl; destruct (Nat.eqb_spec b a); [congruence|ring]).
  assert (D : dot n v v = y b ^ 2 + y a ^ 2) by (unfold dot; rewrite S, Va, Vb; ring).
  exists v. split; [rewrite D; nra|]. rewrite quad_dot, dot_J. unfold Mean. rewrite !S, Va, Vb, D. nra.
Qed.
(** claim softmax-lipschitz. If y_b is the second largest, it is at least (1 - y_a) / (n - 1). *)
Theorem second_weight n y a b : Sum n y = 1 -> (2 <= n)%nat -> (a < n)%nat -> (forall i, (i < n)%nat -> i <> a -> y i <= y b) ->
  (1 - y a) / (INR n - 1) <= y b.
Proof.
  intros E Hn Ha H. assert (2 <= INR n) by (apply (le_INR 2), Hn).
  apply Rmult_le_reg_r with (INR n - 1); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
  replace (1 - y a) with (Sum n (fun i => y i - (if Nat.eqb i a then y i else 0)))
    by (rewrite Sum_minus, E, (Sum_delta n a y Ha); reflexivity).
  apply Rle_trans with (Sum n (fun i => y b - (if Nat.eqb i a then y b else 0))).
  - apply Sum_le. intros i Hi. destruct (Nat.eqb_spec i a); [subst; lra|]. pose proof (H i Hi n0). lra.
  - rewrite Sum_minus, Sum_const, (Sum_delta n a (fun _ => y b) Ha). right. ring.
Qed.
(** claim softmax-lipschitz. v'Jv is half of |v|^2, for some v that is not 0, only where two weights are 1/2. *)
Theorem J_half_only n y v : Law n y -> 0 < dot n v v -> quad n y v = / 2 * dot n v v ->
  exists i j, (i < n)%nat /\ (j < n)%nat /\ i <> j /\ y i = / 2 /\ y j = / 2.
Proof.
  intros L D Eq.
  assert (T : forall i, (i < n)%nat -> 2 * (y i * (1 - y i)) * v i ^ 2 <= / 2 * (v i * v i)).
  { intros i _. pose proof (pow2_ge_0 (y i - / 2)). pose proof (Rle_0_sqr (v i)). unfold Rsqr in *. nra. }
  assert (S : forall i, (i < n)%nat -> v i <> 0 -> y i = / 2).
  { intros i Hi V. destruct (Req_dec (y i) (/ 2)) as [|Y]; [assumption|exfalso].
    assert (quad n y v < / 2 * dot n v v); [|lra].
    eapply Rle_lt_trans; [apply J_below_diagonal, L|]. unfold dot. rewrite <- Sum_scal.
    apply (Sum_lt n _ _ i Hi T). cbv beta. assert (0 < v i ^ 2) by (apply pow2_gt_0, V).
    assert (0 < (y i - / 2) ^ 2) by (apply pow2_gt_0; lra). nra. }
  destruct (Classical_Prop.classic (exists i, (i < n)%nat /\ v i <> 0)) as [[i [Hi Vi]]|Z].
  2:{ exfalso. unfold dot in D. rewrite (Sum_0 n) in D; [lra|]. intros i Hi.
      destruct (Req_dec (v i) 0) as [->|N]; [ring|exfalso; apply Z; exists i; auto]. }
  destruct (Classical_Prop.classic (exists j, (j < n)%nat /\ j <> i /\ v j <> 0)) as [[j [Hj [Nj Vj]]]|Z].
  { exists i, j. repeat split; auto. }
  exfalso. assert (Zero : forall j, (j < n)%nat -> j <> i -> v j = 0).
  { intros j Hj Nj. destruct (Req_dec (v j) 0) as [|N]; [assumption|exfalso; apply Z; exists j; auto]. }
  assert (One : forall f, Sum n (fun k => f k * v k) = f i * v i).
  { intro f. rewrite <- (Sum_delta n i (fun k => f k * v k) Hi). apply Sum_ext. intros k Hk.
    destruct (Nat.eqb_spec k i); [reflexivity|rewrite Zero by assumption; ring]. }
  rewrite quad_dot, dot_J in Eq. unfold Mean, dot in Eq. rewrite !One, (S i Hi Vi) in Eq.
  assert (0 < v i ^ 2) by (apply pow2_gt_0, Vi). nra.
Qed.
(** claim softmax-lipschitz. So from three positive weights on v'Jv < |v|^2 / 2 where v is not 0. *)
Theorem J_half_strict n y v : Law n y -> (3 <= n)%nat -> (forall i, (i < n)%nat -> 0 < y i) -> 0 < dot n v v ->
  quad n y v < / 2 * dot n v v.
Proof.
  intros L Hn P D. destruct (J_half n y v L) as [|Eq]; [assumption|exfalso].
  destruct (J_half_only n y v L D Eq) as [i [j [Hi [Hj [N [Yi Yj]]]]]]. destruct L as [_ E].
  assert (exists k, (k < n)%nat /\ k <> i /\ k <> j) as [k [Hk [Ni Nk]]].
  { destruct (Nat.eq_dec i 0), (Nat.eq_dec j 0), (Nat.eq_dec i 1), (Nat.eq_dec j 1);
      solve [exists 0%nat; lia | exists 1%nat; lia | exists 2%nat; lia]. }
  assert (y i + y j + y k <= Sum n y); [|pose proof (P k Hk); lra].
  rewrite <- (Sum_delta n i y Hi), <- (Sum_delta n j y Hj), <- (Sum_delta n k y Hk), <- !Sum_plus.
  apply Sum_le. intros l Hl. pose proof (P l Hl).
  destruct (Nat.eqb_spec l i) as [A|A], (Nat.eqb_spec l j) as [B|B], (Nat.eqb_spec l k) as [C|C];
    try (exfalso; lia); try lra; try (subst l; lra).
Qed.
(** claim softmax-lipschitz. Half of |v|^2 is attained where two weights are 1/2 and all others 0. *)
Theorem J_half_attained n y a b : (a < n)%nat -> (b < n)%nat -> a <> b -> y a = / 2 -> y b = / 2 ->
  exists v, 0 < dot n v v /\ quad n y v = / 2 * dot n v v.
Proof.
  intros Ha Hb N Ya Yb. set (v := fun i => (if Nat.eqb i a then 1 else 0) - (if Nat.eqb i b then 1 else 0)).
  assert (S : forall f, Sum n (fun i => f i * v i) = f a - f b).
  { intro f. rewrite <- (Sum_delta n a f Ha), <- (Sum_delta n b f Hb), <- Sum_minus.
    apply Sum_ext. intros i _. unfold v. destruct (Nat.eqb i a), (Nat.eqb i b); ring. }
  assert (Va : v a = 1) by (unfold v; rewrite Nat.eqb_refl; destruct (Nat.eqb_spec a b); [contradiction|ring]).
  assert (Vb : v b = -1) by (unfold v; rewrite Nat.eqb_refl; destruct (Nat.eqb_spec b a); [congruence|ring]).
  exists v. assert (D : dot n v v = 2) by (unfold dot; rewrite S, Va, Vb; ring).
  split; [lra|]. rewrite quad_dot, dot_J. unfold Mean. rewrite !S, Va, Vb, D, Ya, Yb. field.
Qed.
(** claim softmax-lipschitz. What bounds v'Jv by c |v|^2 bounds the length of Jg by c times that of g. *)
Theorem J_norm n y c g : Law n y -> 0 <= c -> (forall v, quad n y v <= c * dot n v v) ->
  dot n (apply_J n y g) (apply_J n y g) <= c ^ 2 * dot n g g.
Proof.
  intros L Hc H. set (h := apply_J n y g). pose proof (J_cauchy n y h g L) as Q. fold h in Q.
  pose proof (dot_nonneg n h). pose proof (dot_nonneg n g). pose proof (J_nonneg n y g L).
  destruct H0 as [P|P]; [|rewrite <- P; pose proof (pow2_ge_0 c); nra].
  apply Rmult_le_reg_l with (dot n h h); [exact P|].
  apply Rle_trans with (quad n y h * quad n y g); [lra|].
  apply Rle_trans with ((c * dot n h h) * (c * dot n g g)); [|right; ring].
  apply Rmult_le_compat; [apply J_nonneg, L|assumption|apply H|apply H].
Qed.
Lemma softmax_line n z w i t : (i < n)%nat ->
  is_derive (fun t => softmax n (fun j => z j + t * w j) i) t (apply_J n (softmax n (fun j => z j + t * w j)) w i).
Proof.
  intro Hi. set (x := fun j => z j + t * w j). pose proof (Z_pos n x ltac:(lia)) as P.
  assert (D : is_derive (fun t => exp (z i + t * w i)) t (exp (x i) * w i)) by (unfold x; auto_derive; [trivial|ring]).
  assert (DZ : is_derive (fun t => Sum n (fun j => exp (z j + t * w j))) t (Sum n (fun j => exp (x j) * w j))).
  { apply (is_derive_Sum n (fun j t => exp (z j + t * w j))). intros j _. unfold x. auto_derive; [trivial|ring]. }
  pose proof (is_derive_div (fun t => exp (z i + t * w i)) (fun t => Sum n (fun j => exp (z j + t * w j))) t _ _ D DZ) as Q.
  cbv beta in Q. fold (x i) in Q. change (Sum n (fun j => exp (z j + t * w j))) with (Sum n (fun j => exp (x j))) in Q.
  unfold apply_J. rewrite J_apply by exact Hi. unfold Mean, softmax.
  rewrite (Sum_ext n (fun j => exp (x j) / Sum n (fun k => exp (x k)) * w j) (fun j => / Sum n (fun k => exp (x k)) * (exp (x j) * w j)))
    by (intros; unfold Rdiv; ring).
  rewrite Sum_scal. set (Z := Sum n (fun j => exp (x j))) in *. set (S := Sum n (fun j => exp (x j) * w j)) in *.
  replace (exp (x i) / Z * (w i - / Z * S)) with ((exp (x i) * w i * Z - exp (x i) * S) / Z ^ 2) by (field; lra).
  apply Q. lra.
Qed.
(** claim softmax-lipschitz. Softmax is 1/2-Lipschitz. *)
Theorem softmax_half_lipschitz n z z' : (0 < n)%nat ->
  let dy := fun i => softmax n z' i - softmax n z i in let dz := fun i => z' i - z i in
  sqrt (dot n dy dy) <= / 2 * sqrt (dot n dz dz).
Proof.
  intros Hn u w. set (phi := fun t => dot n u (softmax n (fun j => z j + t * w j))).
  destruct (MVT_gen phi 0 1 (fun t => dot n u (apply_J n (softmax n (fun j => z j + t * w j)) w))) as [c [_ Q]].
  { intros t _. unfold phi, dot. apply (is_derive_Sum n (fun i t => u i * softmax n (fun j => z j + t * w j) i)).
    intros i Hi. apply is_derive_scal. apply softmax_line, Hi. }
  { intros t _. apply continuity_pt_filterlim, (ex_derive_continuous (V := R_NormedModule)). eexists. unfold phi, dot.
    apply (is_derive_Sum n (fun i t => u i * softmax n (fun j => z j + t * w j) i)).
    intros i Hi. apply is_derive_scal. apply softmax_line, Hi. }
  assert (F : phi 1 - phi 0 = dot n u u).
  { unfold phi, dot. rewrite <- Sum_minus. apply Sum_ext. intros i Hi. rewrite <- Rmult_minus_distr_l. f_equal.
    unfold u. f_equal; apply softmax_ext; intros j; unfold w; ring. }
  rewrite F, Rminus_0_r, Rmult_1_r in Q. set (y := softmax n (fun j => z j + c * w j)) in *.
  pose proof (softmax_law n (fun j => z j + c * w j) Hn) as L. fold y in L.
  pose proof (J_cauchy n y u w L) as C. rewrite <- Q in C.
  pose proof (J_half n y u L) as Hu. pose proof (J_half n y w L) as Hw.
  pose proof (J_nonneg n y u L). pose proof (J_nonneg n y w L).
  pose proof (dot_nonneg n u). pose proof (dot_nonneg n w).
  assert (B : dot n u u <= / 4 * dot n w w).
  { destruct H1 as [P|P]; [|rewrite <- P; lra]. apply Rmult_le_reg_l with (dot n u u); [exact P|].
    apply Rle_trans with (quad n y u * quad n y w); [lra|].
    apply Rle_trans with ((/ 2 * dot n u u) * (/ 2 * dot n w w)); [|right; field].
    apply Rmult_le_compat; assumption. }
  rewrite <- (sqrt_square (/ 2)) by lra. rewrite <- sqrt_mult by lra. apply sqrt_le_1_alt. lra.
Qed.
(** claim softmax-vanish. One leader a with a gap of at least D to all others: the length of Jg is at most
    2 (n - 1) exp(-D) times that of g. D is beta Delta, g the derivatives by the weights. *)
Theorem decided_flat n z a D g : (a < n)%nat -> (forall i, (i < n)%nat -> i <> a -> z i <= z a - D) ->
  let h := apply_J n (softmax n z) g in sqrt (dot n h h) <= 2 * (INR n - 1) * exp (- D) * sqrt (dot n g g).
Proof.
  intros Ha G h. set (y := softmax n z) in *. pose proof (softmax_law n z ltac:(lia)) as L. fold y in L.
  assert (N : 1 <= INR n) by (apply (le_INR 1); lia). pose proof (exp_pos (- D)) as X.
  assert (K : 1 - y a <= (INR n - 1) * exp (- D)).
  { pose proof L as [_ E].
    replace (1 - y a) with (Sum n (fun i => y i - (if Nat.eqb i a then y i else 0)))
      by (rewrite Sum_minus, E, (Sum_delta n a y Ha); reflexivity).
    apply Rle_trans with (Sum n (fun i => exp (- D) - (if Nat.eqb i a then exp (- D) else 0))).
    - apply Sum_le. intros i Hi. destruct (Nat.eqb_spec i a) as [->|Ni]; [lra|]. rewrite !Rminus_0_r.
      apply Rle_trans with (y a * exp (- D)); [|pose proof (Law_le1 n y a L Ha); nra].
      pose proof (Z_pos n z ltac:(lia)) as Z. unfold y, softmax, Rdiv. rewrite Rmult_assoc, (Rmult_comm (/ _)), <- Rmult_assoc.
      apply Rmult_le_compat_r; [apply Rlt_le, Rinv_0_lt_compat, Z|]. rewrite <- exp_plus.
      destruct (G i Hi Ni) as [Q|Q]; [apply Rlt_le, exp_increasing; lra|rewrite Q; right; f_equal; ring].
    - rewrite Sum_minus, Sum_const, (Sum_delta n a (fun _ => exp (- D)) Ha). lra. }
  set (c := 2 * (INR n - 1) * exp (- D)). assert (Hc : 0 <= c) by (unfold c; nra).
  assert (B : dot n h h <= c ^ 2 * dot n g g).
  { apply J_norm; [exact L|exact Hc|]. intro v. eapply Rle_trans; [apply (J_decided n y v a L Ha)|].
    apply Rmult_le_compat_r; [apply dot_nonneg|unfold c; lra]. }
  rewrite <- (sqrt_pow2 c) by exact Hc. rewrite <- sqrt_mult by (apply pow2_ge_0 || apply dot_nonneg). apply sqrt_le_1_alt, B.
Qed.
(** claim softmax-lipschitz. A quarter of the squared range is at most half of |v|^2. *)
Theorem range_below_norm n v i j : (i < n)%nat -> (j < n)%nat -> / 4 * (v i - v j) ^ 2 <= / 2 * dot n v v.
Proof.
  intros Hi Hj. destruct (Nat.eq_dec i j) as [->|N]; [pose proof (dot_nonneg n v); lra|].
  assert (v i * v i + v j * v j <= dot n v v).
  { unfold dot. rewrite <- (Sum_delta n i (fun k => v k * v k) Hi), <- (Sum_delta n j (fun k => v k * v k) Hj), <- Sum_plus.
    apply Sum_le. intros k _. pose proof (Rle_0_sqr (v k)). unfold Rsqr in *.
    destruct (Nat.eqb_spec k i), (Nat.eqb_spec k j); try (exfalso; congruence); lra. }
  pose proof (pow2_ge_0 (v i + v j)). nra.
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
(** claim softmax-magnitude. The sharp limit: with a gap D below the maximum M, an entry M tends to 1 over the number of
    such entries, any other to 0. *)
Theorem softmax_limit n z M D i : 0 < D -> is_max n z M -> (forall i, (i < n)%nat -> z i = M \/ z i <= M - D) -> (i < n)%nat ->
  is_lim (fun b => softmax n (fun j => b * z j) i) p_infty (if Req_EM_T (z i) M then / count n z M else 0).
Proof.
  intros HD Mx G Hi. pose proof (count_ge1 n z M Mx) as C1. set (m := count n z M) in *.
  assert (R : is_lim (fun b => rest n z M b) p_infty 0).
  { apply (is_lim_le_le_loc (fun _ => 0) (fun b => INR n * exp (- b * D))).
    - exists 0. intros b Hb. split.
      + apply Sum_nonneg. intros j _. destruct (Req_EM_T (z j) M); [lra|apply Rlt_le, softmax_pos; lia].
      + destruct (Classical_Prop.classic (exists j, (j < n)%nat /\ z j <> M)) as [[j [Hj Nj]]|A].
        * pose proof (softmax_sharp n b z M D j Hb HD Mx G Hj Nj) as S. fold m in S. apply Rlt_le, Rlt_le_trans with (1 := S).
          apply Rmult_le_compat_r; [apply Rlt_le, exp_pos|]. apply Rmult_le_reg_r with m; [lra|].
          unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. pose proof (pos_INR n). nra.
        * unfold rest. rewrite Sum_0.
          -- apply Rmult_le_pos; [apply pos_INR|apply Rlt_le, exp_pos].
          -- intros j Hj. destruct (Req_EM_T (z j) M) as [|N]; [reflexivity|]. exfalso. apply A. exists j. auto.
    - apply is_lim_const.
    - replace (Finite 0) with (Rbar_mult (INR n) 0) by (simpl; f_equal; ring). apply is_lim_scal_l.
      apply (is_lim_comp exp (fun b => - b * D) p_infty 0 m_infty); [apply is_lim_exp_m| |exists 0; discriminate].
      replace m_infty with (Rbar_mult p_infty (- D)).
      + apply (is_lim_ext (fun b => b * - D)); [intro; ring|]. apply is_lim_scal_r, is_lim_id.
      + simpl. destruct (Rle_dec 0 (- D)) as [h|h]; [exfalso; lra|reflexivity]. }
  destruct (Req_EM_T (z i) M) as [E|N].
  - apply (is_lim_ext (fun b => / m * (1 - rest n z M b))).
    + intro b. rewrite <- (softmax_leaders n b z M i Hi E). fold m. field. lra.
    + replace (Finite (/ m)) with (Rbar_mult (/ m) (Rbar_minus 1 0)) by (simpl; f_equal; field; lra).
      apply is_lim_scal_l. apply is_lim_minus'; [apply is_lim_const|exact R].
  - apply (is_lim_le_le_loc (fun _ => 0) (fun b => rest n z M b)); [|apply is_lim_const|exact R].
    exists 0. intros b _. split; [apply Rlt_le, softmax_pos; lia|].
    eapply Rle_trans; [|apply (Sum_term n (fun j => if Req_EM_T (z j) M then 0 else softmax n (fun j => b * z j) j) i Hi)].
    + cbv beta. destruct (Req_EM_T (z i) M); [contradiction|lra].
    + intros j _. destruct (Req_EM_T (z j) M); [lra|apply Rlt_le, softmax_pos; lia].
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

From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common certify.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

Lemma tanh_half a b : tanh ((a - b) / 2) = (exp a - exp b) / (exp a + exp b).
Proof.
  unfold tanh, sinh, cosh. set (u := exp (a / 2)). set (v := exp (b / 2)).
  assert (Pu : 0 < u) by apply exp_pos. assert (Pv : 0 < v) by apply exp_pos.
  replace (exp a) with (u * u) by (unfold u; rewrite <- exp_plus; f_equal; field).
  replace (exp b) with (v * v) by (unfold v; rewrite <- exp_plus; f_equal; field).
  replace (exp ((a - b) / 2)) with (u / v)
    by (unfold u, v, Rdiv; rewrite <- exp_Ropp, <- exp_plus; f_equal; field).
  replace (exp (- ((a - b) / 2))) with (v / u)
    by (unfold u, v, Rdiv; rewrite <- exp_Ropp, <- exp_plus; f_equal; field).
  field. repeat split; nra.
Qed.
(** claim perpendicular-condition. For any number of keys, what a head gives a more than b is what it
    spends on both times tanh of half the lead of a. *)
Theorem lead n z a b : (0 < n)%nat ->
  softmax n z a - softmax n z b = (softmax n z a + softmax n z b) * tanh ((z a - z b) / 2).
Proof.
  intro Hn. pose proof (Z_pos n z Hn). rewrite tanh_half. unfold softmax.
  pose proof (exp_pos (z a)). pose proof (exp_pos (z b)). field. lra.
Qed.
(** claim perpendicular-condition. Two keys, of which head r has the scores a_r and b_r: the gap of the
    two heads together. *)
Theorem two_keys_gap a1 b1 a2 b2 :
  (exp a1 - exp b1) / (exp a1 + exp b1) + (exp a2 - exp b2) / (exp a2 + exp b2)
  = sinh ((a1 - b1 + (a2 - b2)) / 2) / (cosh ((a1 - b1) / 2) * cosh ((a2 - b2) / 2)).
Proof.
  rewrite <- !tanh_half. unfold tanh, sinh, cosh.
  replace ((a1 - b1 + (a2 - b2)) / 2) with ((a1 - b1) / 2 + (a2 - b2) / 2) by field.
  rewrite Ropp_plus_distr, !exp_plus. set (u := exp ((a1 - b1) / 2)). set (v := exp ((a2 - b2) / 2)).
  rewrite !exp_Ropp. fold u v. assert (0 < u) by apply exp_pos. assert (0 < v) by apply exp_pos.
  field. repeat split; nra.
Qed.
Lemma two_heads_reals a1 b1 a2 b2 : let E := exp in
  E a1 / (0 + E a1 + E b1) + E a2 / (0 + E a2 + E b2) = E b1 / (0 + E a1 + E b1) + E b2 / (0 + E a2 + E b2)
  <-> a1 + a2 = b1 + b2.
Proof.
  intro E. unfold E. pose proof (exp_pos a1). pose proof (exp_pos a2). pose proof (exp_pos b1). pose proof (exp_pos b2).
  assert (P : 0 < (exp a1 + exp b1) * (exp a2 + exp b2)) by (apply Rmult_lt_0_compat; lra).
  assert (X : (exp a1 / (0 + exp a1 + exp b1) + exp a2 / (0 + exp a2 + exp b2))
            - (exp b1 / (0 + exp a1 + exp b1) + exp b2 / (0 + exp a2 + exp b2))
            = 2 * (exp (a1 + a2) - exp (b1 + b2)) / ((exp a1 + exp b1) * (exp a2 + exp b2))).
  { rewrite !exp_plus. field. lra. }
  split; intro Q.
  - apply exp_inv. rewrite Q in X. 
    assert (Y : 2 * (exp (a1 + a2) - exp (b1 + b2)) / ((exp a1 + exp b1) * (exp a2 + exp b2)) * ((exp a1 + exp b1) * (exp a2 + exp b2)) = 0) by (rewrite <- X; ring).
    unfold Rdiv in Y. rewrite Rmult_assoc, Rinv_l in Y by lra. lra.
  - rewrite Q in X. unfold Rdiv in X at 5. rewrite Rminus_eq_0, Rmult_0_r, Rmult_0_l in X. lra.
Qed.
(** claim perpendicular-condition. With two keys, 0 and 1, of any dimension, two heads give both the same
    total if and only if the difference of the keys is orthogonal to the sum of the queries. *)
Theorem two_keys d K q1 q2 :
  weight d 2 K q1 0 + weight d 2 K q2 0 = weight d 2 K q1 1 + weight d 2 K q2 1
  <-> dot d (fun i => K 0%nat i - K 1%nat i) (fun i => q1 i + q2 i) = 0.
Proof.
  rewrite dot_sub, !dot_add. unfold weight, softmax. simpl Sum. rewrite two_heads_reals. split; intro; lra.
Qed.
(** claim perpendicular-condition. With three keys the condition does not suffice: unit vectors, the
    queries 3 and -3 times the first, and the totals 0.934 against 0.533. *)
Theorem not_sufficient :
  let q1 := fun i => 3 * unit_vector 0 i in let q2 := fun i => - 3 * unit_vector 0 i in
  dot 3 (fun i => unit_vector 0 i - unit_vector 1 i) (fun i => q1 i + q2 i) = 0 /\
  Rabs (weight 3 3 unit_vector q1 0 + weight 3 3 unit_vector q2 0 - 0.934) <= 0.0005 /\
  Rabs (weight 3 3 unit_vector q1 1 + weight 3 3 unit_vector q2 1 - 0.533) <= 0.0005.
Proof.
  intros q1 q2. unfold weight, softmax, dot, q1, q2, unit_vector. simpl.
  split; [ring|]. split; interval with (i_prec 40).
Qed.
Lemma unit_score q k : (k < 3)%nat -> dot 3 (unit_vector k) q = q k.
Proof. intro H. unfold dot, unit_vector. destruct k as [|[|[|]]]; [simpl; ring..|lia]. Qed.
(** claim perpendicular-condition. Nor is it necessary: here both keys get 5/8 in all. *)
Theorem not_necessary :
  let q1 := fun i => match i with O => ln 2 | _ => 0 end in
  let q2 := fun i => match i with O => 0 | S O => ln 3 | _ => ln 4 end in
  weight 3 3 unit_vector q1 0 + weight 3 3 unit_vector q2 0 = 5 / 8 /\
  weight 3 3 unit_vector q1 1 + weight 3 3 unit_vector q2 1 = 5 / 8 /\
  dot 3 (fun i => unit_vector 0 i - unit_vector 1 i) (fun i => q1 i + q2 i) <> 0.
Proof.
  intros q1 q2. rewrite dot_sub, !dot_add, !unit_score by lia. unfold weight, softmax. simpl Sum.
  rewrite !unit_score by lia. unfold q1, q2. rewrite exp_0, !exp_ln by lra. split; [lra|]. split; [lra|].
  assert (ln 2 < ln 3) by (apply ln_increasing; lra). lra.
Qed.
(** claim perpendicular-condition. No lead in either head suffices, for any number of keys. *)
Theorem no_lead_suffices d m K q1 q2 a b : dot d (fun i => K a i - K b i) q1 = 0 -> dot d (fun i => K a i - K b i) q2 = 0 ->
  weight d m K q1 a + weight d m K q2 a = weight d m K q1 b + weight d m K q2 b.
Proof.
  rewrite !dot_sub. intros E1 E2. unfold weight, softmax.
  replace (dot d (K a) q1) with (dot d (K b) q1) by lra. replace (dot d (K a) q2) with (dot d (K b) q2) by lra. reflexivity.
Qed.
(** claim perpendicular-condition. A symmetry suffices too that swaps a and b and turns one head into the other.
    It shuffles the keys by sigma, which tau undoes, and key i has in the first head the score of key sigma i in
    the second. *)
Theorem swap_suffices n z1 z2 sigma tau a b : (forall i, (i < n)%nat -> (sigma i < n)%nat /\ tau (sigma i) = i) ->
  (forall j, (j < n)%nat -> (tau j < n)%nat /\ sigma (tau j) = j) -> (forall i, z1 i = z2 (sigma i)) -> sigma a = b -> sigma b = a ->
  softmax n z1 a + softmax n z2 a = softmax n z1 b + softmax n z2 b.
Proof.
  intros S T H Ea Eb. assert (E : forall i, softmax n z1 i = softmax n z2 (sigma i)).
  { intro i. unfold softmax. rewrite <- (Sum_shuffled n sigma tau (fun j => exp (z2 j)) S T), H. f_equal.
    apply Sum_ext. intros. rewrite H. reflexivity. }
  rewrite !E, Ea, Eb. ring.
Qed.
(** claim perpendicular-not-robust. Where the queries sum to beta (mu_a + mu_b), as those of twins and of
    committed heads do, and k_a = gamma mu_a, the residual is beta (gamma - 1). *)
Theorem same_residual d mu_a mu_b beta gamma : dot d mu_a mu_a = 1 -> dot d mu_b mu_b = 1 -> dot d mu_a mu_b = 0 ->
  dot d (fun i => gamma * mu_a i - mu_b i) (fun i => beta * mu_a i + beta * mu_b i) = beta * (gamma - 1).
Proof.
  intros Ea Eb Eab.
  rewrite (dot_sub d (fun i => gamma * mu_a i)), !dot_add, !dot_scal_r, !dot_scal_l, Ea, Eb, Eab, (dot_sym d mu_b mu_a), Eab. ring.
Qed.
(** claim perpendicular-not-robust. With two keys and q_2 = -q_1 each gets 1 from the two heads together, half
    of all. *)
Theorem opposite_queries d K q i : (i < 2)%nat -> weight d 2 K q i + weight d 2 K (fun l => - q l) i = 1.
Proof.
  intro Hi. assert (N : forall u, dot d u (fun l => - q l) = - dot d u q).
  { intro u. unfold dot. rewrite (Sum_ext d _ (fun l => -1 * (u l * q l))) by (intros; ring). rewrite Sum_scal. ring. }
  unfold weight, softmax. simpl Sum. rewrite !N, !exp_Ropp.
  pose proof (exp_pos (dot d (K 0%nat) q)). pose proof (exp_pos (dot d (K 1%nat) q)).
  destruct i as [|[|]]; [| |lia]; field; repeat split; nra.
Qed.
(** claim one-head-averages. The scores of the head that looks away: 0 for a and b, -beta for n others.
    Both get exp(beta) / (2 exp(beta) + n). *)
Theorem away_averages n beta i : (i < 2)%nat ->
  softmax (2 + n) (fun j => if Nat.ltb j 2 then 0 else - beta) i = exp beta / (2 * exp beta + INR n).
Proof.
  intro Hi. assert (E : Sum (2 + n) (fun j => exp (if Nat.ltb j 2 then 0 else - beta)) = 2 + INR n * exp (- beta)).
  { induction n; [simpl; rewrite exp_0; ring|]. replace (2 + S n)%nat with (S (2 + n)) by lia. simpl Sum at 1.
    change (S (S n)) with (2 + n)%nat. simpl Nat.ltb in IHn |- *. rewrite S_INR.
    destruct n; simpl in *; rewrite ?exp_0 in *; lra. }
  unfold softmax. rewrite E. destruct (Nat.ltb_spec i 2); [|lia]. rewrite exp_0, exp_Ropp.
  pose proof (exp_pos beta). pose proof (pos_INR n). field. split; nra.
Qed.
